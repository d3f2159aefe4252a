//! The enums over all kinds, made from the table.

/// Makes the enums of paths, documents and edits from the table of kinds. A line has the name of
/// a kind, in parentheses the parameter of its path if a source can state several documents, and
/// the type of their content, which implements [`Kind`](super::kind::Kind).
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $(($name:ident: $type:ty))? => $content:ty;)*) => {
        /// The path of a document: below `/n2s/v1/` in the API, and below the name of the source
        /// in the store. Documents are listed in this order.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DocumentPath {
            $($(#[$doc])* $kind $(($type))?,)*
        }

        /// A document.
        #[derive(Debug, Clone)]
        pub enum Document {
            $($(#[$doc])* $kind(Arc<$content>),)*
        }

        /// A change of a part of a document.
        #[derive(Debug, Clone)]
        pub enum Edit {
            $($(#[$doc])* $kind(<$content as Kind>::Edit),)*
        }

        /// The description of each kind.
        pub const KINDS: &[&Description] = &[$(&<$content as Kind>::DESCRIPTION),*];

        impl DocumentPath {
            /// Returns the description of the kind.
            pub fn description(&self) -> &'static Description {
                match self {
                    $(Self::$kind { .. } => &<$content as Kind>::DESCRIPTION,)*
                }
            }

            /// Returns the name that distinguishes the document from others of its kind, if a
            /// source can state several.
            pub fn name(&self) -> Option<&str> {
                match self {
                    $(Self::$kind $(($name))? => None::<&str>$(.or(Some($name.as_str())))?,)*
                }
            }

            /// Parses a path below `/n2s/v1/`.
            ///
            /// # Errors
            /// What is wrong and which paths there are, in words.
            pub fn parse(text: &str) -> Result<Self, String> {
                $(if let Some(_name) = <$content as Kind>::DESCRIPTION.name_in(text) {
                    return Ok(Self::$kind $((
                        <$type>::new(_name).map_err(|$name| $name.to_string())?
                    ))?);
                })*
                Err(kind::unknown(KINDS, text))
            }

            /// Reads a document of this path. `at` is where it stands in the request.
            ///
            /// # Errors
            /// Every fault of it.
            pub fn read(
                &self,
                reader: Reader<'_>,
                at: Vec<Step<'static>>,
                bytes: &[u8],
            ) -> Result<Document, Faults> {
                match self {
                    $(Self::$kind $(($name))? => {
                        let content = Kind::read(reader, &($($name.clone())?), at, bytes)?;
                        Ok(Document::$kind(Arc::new(content)))
                    })*
                }
            }

            /// Reads an edit of the document at this path. `at` is where it stands in the
            /// request.
            ///
            /// # Errors
            /// Every fault of it.
            pub fn read_edit(
                &self,
                reader: Reader<'_>,
                kind: EditKind,
                at: Vec<Step<'static>>,
                bytes: &[u8],
            ) -> Result<Edit, Faults> {
                match self {
                    $(Self::$kind $(($name))? => {
                        let name = &($($name.clone())?);
                        let edit = <$content>::read_edit(reader, kind, name, at, bytes)?;
                        Ok(Edit::$kind(edit))
                    })*
                }
            }
        }

        impl Document {
            /// Returns the description of its kind.
            pub fn description(&self) -> &'static Description {
                match self {
                    $(Self::$kind(_) => &<$content as Kind>::DESCRIPTION,)*
                }
            }

            /// Returns its content.
            fn content(&self) -> Arc<dyn Content> {
                match self {
                    $(Self::$kind(content) => content.clone(),)*
                }
            }
        }

        impl Edit {
            /// Applies the edit to what the source states. `at` is where the edit stands in the
            /// request.
            ///
            /// # Errors
            /// Every fault of the edit, or of the document after it.
            pub fn apply(
                self,
                reader: Reader<'_>,
                at: &[Step<'static>],
                current: Option<&Document>,
            ) -> Result<Document, Faults> {
                match self {
                    $(Self::$kind(edit) => {
                        let current = current.and_then(Listed::of).map(Arc::as_ref);
                        let edited = Kind::edited(reader, at, current, edit)?;
                        Ok(Document::$kind(Arc::new(edited)))
                    })*
                }
            }
        }

        /// A kind that is in the table.
        pub trait Listed: Kind {
            /// Returns the content of a document, if it is of this kind.
            fn of(document: &Document) -> Option<&Arc<Self>>;
        }

        $(impl Listed for $content {
            fn of(document: &Document) -> Option<&Arc<Self>> {
                match document {
                    Document::$kind(content) => Some(content),
                    _ => None,
                }
            }
        })*
    };
}

pub(super) use kinds;
