//! The operations of a write, as clients send them.

use std::borrow::Cow;

use serde::de::MapAccess;
use serde_json::value::RawValue;

use crate::alto::json::{
    FaultKind, Faults, ListOf, Once, Read, Step, StringBy, Walk, members, once, read, skip,
};
use crate::facts::{Document, DocumentPath, Edit, EditKind, KINDS, Reader};

/// One step of a write.
#[derive(Debug, Clone)]
pub struct Operation {
    /// The document that changes.
    pub path: DocumentPath,
    /// How it changes.
    pub change: Change,
    /// Where the value of the operation stands in the request, for faults that are found later;
    /// of an operation without a value, where its path stands.
    pub at: Vec<Step<'static>>,
}

/// A change of a document.
#[derive(Debug, Clone)]
pub enum Change {
    /// Replaces the document.
    Put(Document),
    /// Changes a part of the document.
    Edit(EditKind, Edit),
    /// Deletes the document.
    Delete,
}

/// The kind of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationKind {
    /// Replaces the document.
    Put,
    /// Changes a part of the document.
    Edit(EditKind),
    /// Deletes the document.
    Delete,
}

impl OperationKind {
    const ALL: [Self; 5] = [
        Self::Put,
        Self::Edit(EditKind::MergePatch),
        Self::Delete,
        Self::Edit(EditKind::Announce),
        Self::Edit(EditKind::Withdraw),
    ];

    /// Returns the name of the kind in the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Edit(kind) => kind.as_str(),
            Self::Delete => "delete",
        }
    }
}

impl Change {
    /// Returns the kind of the change.
    pub fn kind(&self) -> OperationKind {
        match self {
            Self::Put(_) => OperationKind::Put,
            Self::Edit(kind, _) => OperationKind::Edit(*kind),
            Self::Delete => OperationKind::Delete,
        }
    }
}

/// Reads a request to a document as an operation.
///
/// # Errors
/// Every fault of the body.
pub fn read_operation(
    reader: Reader<'_>,
    kind: OperationKind,
    path: DocumentPath,
    body: &[u8],
) -> Result<Operation, Faults> {
    operation(reader, kind, path, Vec::new(), Some(body))
}

/// Reads the operations of a `POST transaction`.
///
/// # Errors
/// Every fault of the operations.
pub fn read_transaction(reader: Reader<'_>, body: &[u8]) -> Result<Vec<Operation>, Faults> {
    let stated = read(body, ReadTransaction)?;
    let mut faults = Faults::default();
    let limit = reader.limits.max_operations;
    if stated.len() > limit {
        let count = stated.len();
        let detail = format!("{count} operations; at most {limit} are taken (max_operations)");
        faults.at(&["operations"], detail);
        return Err(faults);
    }
    let mut operations = Vec::with_capacity(stated.len());
    for (index, stated) in stated.into_iter().enumerate() {
        let member = match stated.kind {
            OperationKind::Delete => "path",
            _ => "value",
        };
        let at = vec![
            Step::Member("operations".into()),
            Step::Element(index),
            Step::Member(member.into()),
        ];
        let value = stated.value.map(|value| value.get().as_bytes());
        match operation(reader, stated.kind, stated.path, at, value) {
            Ok(operation) => operations.push(operation),
            Err(more) => faults.append(more),
        }
    }
    faults.or(operations)
}

fn operation(
    reader: Reader<'_>,
    kind: OperationKind,
    path: DocumentPath,
    at: Vec<Step<'static>>,
    value: Option<&[u8]>,
) -> Result<Operation, Faults> {
    let refuse = |kind: FaultKind, detail: &str| {
        let mut walk = Walk::below(at.clone());
        walk.fault(kind, detail);
        Err(walk.into_faults())
    };
    if let OperationKind::Edit(edit) = kind
        && !path.description().edits.contains(&edit)
    {
        let kinds = KINDS.iter().filter(|kind| kind.edits.contains(&edit));
        let paths: Vec<_> = kinds.map(|kind| kind.path()).collect();
        let detail = format!("{} is for {} only", edit.as_str(), paths.join(", "));
        return refuse(FaultKind::Value(None), &detail);
    }
    let value = match (kind, value) {
        (OperationKind::Delete, _) => &[],
        (_, Some(value)) => value,
        (_, None) => return refuse(FaultKind::Missing, "the member \"value\" is missing"),
    };
    let change = match kind {
        OperationKind::Put => Change::Put(path.read(reader, at.clone(), value)?),
        OperationKind::Edit(edit) => {
            Change::Edit(edit, path.read_edit(reader, edit, at.clone(), value)?)
        }
        OperationKind::Delete => Change::Delete,
    };
    Ok(Operation { path, change, at })
}

/// An operation of a transaction whose value is not yet read: what that must be depends on
/// members that may come after it.
struct Stated<'de> {
    kind: OperationKind,
    path: DocumentPath,
    value: Option<&'de RawValue>,
}

struct ReadTransaction;

impl<'de> Read<'de> for ReadTransaction {
    type Output = Vec<Stated<'de>>;
    const WANTED: &'static str = "an object with operations";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Self::Output>, A::Error> {
        let mut operations = Once::default();
        members(walk, &mut map, |walk, key, map| match key {
            "operations" => once(walk, map, &mut operations, ListOf::new(|| ReadStated)),
            _ => {
                walk.unknown(&["operations"]);
                skip(map)
            }
        })?;
        Ok(operations.required(walk, "operations"))
    }
}

struct ReadStated;

impl<'de> Read<'de> for ReadStated {
    type Output = Stated<'de>;
    const WANTED: &'static str = "an object with op, path and value";

    fn object<A: MapAccess<'de>>(
        self,
        walk: &mut Walk<'de>,
        mut map: A,
    ) -> Result<Option<Stated<'de>>, A::Error> {
        let (mut kind, mut path) = (Once::default(), Once::default());
        let mut value: Option<&'de RawValue> = None;
        members(walk, &mut map, |walk, key, map| match key {
            "op" => once(walk, map, &mut kind, operation_kind()),
            "path" => once(walk, map, &mut path, document_path()),
            "value" => {
                if value.is_some() {
                    walk.duplicate();
                }
                value = Some(map.next_value()?);
                Ok(())
            }
            _ => {
                walk.unknown(&["op", "path", "value"]);
                skip(map)
            }
        })?;
        let kind = kind.required(walk, "op");
        let path = path.required(walk, "path");
        Ok(kind
            .zip(path)
            .map(|(kind, path)| Stated { kind, path, value }))
    }
}

fn operation_kind<'de>() -> impl Read<'de, Output = OperationKind> {
    StringBy(|walk: &mut Walk<'de>, text: Cow<'de, str>| {
        let known = OperationKind::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text);
        if known.is_none() {
            walk.invalid(
                &text,
                "no operation; write put, merge-patch, delete, announce or withdraw",
            );
        }
        known
    })
}

fn document_path<'de>() -> impl Read<'de, Output = DocumentPath> {
    StringBy(|walk: &mut Walk<'de>, text: Cow<'de, str>| {
        DocumentPath::parse(&text)
            .map_err(|reason| walk.invalid(&text, reason))
            .ok()
    })
}
