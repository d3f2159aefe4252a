//! What is made of the table of kinds: paths, documents and edits of any kind.

/// Makes the enums of paths, documents and edits, and what tells their kinds apart, of a table
/// of kinds: the name of each, what tells its documents apart if a source states several, and
/// the type of their content, which is a [`Kind`](super::kind::Kind).
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $(($name:ident: $type:ty))? => $content:ty;)*) => {
        /// Where a document of a source is: below `/n2s/v1/`, and in the store below the name of
        /// the source. Documents are listed in this order.
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DocumentPath {
            $($(#[$doc])* $kind $(($type))?,)*
        }

        /// A document's content.
        #[derive(Debug, Clone)]
        pub enum Document {
            $($(#[$doc])* $kind(Arc<$content>),)*
        }

        /// A change of a part of a document.
        #[derive(Debug, Clone)]
        pub enum Edit {
            $($(#[$doc])* $kind(<$content as Kind>::Edit),)*
        }

        /// What is known of each kind.
        pub const KINDS: &[&About] = &[$(&<$content as Kind>::ABOUT),*];

        impl DocumentPath {
            /// What is known of the kind of document.
            pub fn about(&self) -> &'static About {
                match self {
                    $(Self::$kind { .. } => &<$content as Kind>::ABOUT,)*
                }
            }

            /// What tells it apart from other documents of its kind.
            pub fn name(&self) -> Option<&str> {
                match self {
                    $(Self::$kind $(($name))? => None::<&str>$(.or(Some($name.as_str())))?,)*
                }
            }

            /// The document at this path below `/n2s/v1/`.
            ///
            /// # Errors
            /// What is wrong and which paths there are, for people.
            pub fn parse(text: &str) -> Result<Self, String> {
                $(if let Some(_name) = <$content as Kind>::ABOUT.name_in(text) {
                    return Ok(Self::$kind $((
                        <$type>::new(_name).map_err(|$name| $name.to_string())?
                    ))?);
                })*
                Err(kind::unknown(KINDS, text))
            }

            /// Reads the document at this path; it stands at `at` in the request.
            ///
            /// # Errors
            /// All that is wrong with it.
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

            /// Reads an edit of the document at this path; it stands at `at` in the request.
            ///
            /// # Errors
            /// All that is wrong with it.
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
            /// What is known of its kind.
            pub fn about(&self) -> &'static About {
                match self {
                    $(Self::$kind(_) => &<$content as Kind>::ABOUT,)*
                }
            }

            /// Its content, whatever its kind.
            fn content(&self) -> Arc<dyn Content> {
                match self {
                    $(Self::$kind(content) => content.clone(),)*
                }
            }
        }

        impl Edit {
            /// Returns the document after the edit; `current` is what the source states before,
            /// and `at` is where the edit stands in the request.
            ///
            /// # Errors
            /// All that is wrong with the edit or the document after it.
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

        /// The content of a kind that is in the table.
        pub trait Listed: Kind {
            /// The content of a document, if it is of this kind.
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
