//! The sources of a crate as files that import files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemUse, Macro, UseTree, Visibility};

/// The path of a module or of an item in it.
type Names = Vec<String>;

/// The files of a crate, without its tests, and the paths that they name.
pub struct Sources {
    files: Vec<PathBuf>,
    texts: Vec<String>,
    modules: BTreeMap<Names, Module>,
    named: Vec<Named>,
    /// The names of the items in the text of each macro.
    macros: BTreeMap<String, BTreeSet<String>>,
    made: Vec<Made>,
}

/// Items that a macro makes.
struct Made {
    module: Names,
    by: String,
    /// The names that the macro is given.
    given: BTreeSet<String>,
}

/// The items of a module.
#[derive(Default)]
struct Module {
    file: usize,
    items: BTreeSet<String>,
    /// An item that is imported under a name.
    aliases: BTreeMap<String, Names>,
    globs: Vec<Names>,
}

/// What a path names.
#[derive(Clone, Copy)]
enum Found {
    /// An item or a module of this file.
    File(usize),
    /// An item of another crate, or of the language.
    Foreign,
    /// Nothing that the reader knows.
    Unknown,
}

/// A path that occurs in a module.
struct Named {
    module: Names,
    file: usize,
    path: Names,
}

/// A file that imports another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    pub from: PathBuf,
    pub to: PathBuf,
}

impl fmt::Display for Import {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from.display(), self.to.display())
    }
}

impl Sources {
    /// Reads the files below the folder that contains a crate's root module.
    pub fn read(root: &Path) -> Self {
        let mut sources = Self {
            files: Vec::new(),
            texts: Vec::new(),
            modules: BTreeMap::new(),
            named: Vec::new(),
            macros: BTreeMap::new(),
            made: Vec::new(),
        };
        sources.read_folder(root, root);
        sources.add_made();
        sources
    }

    /// Adds to each module what macros make in it: an item by each name that is in the text of
    /// the macro or that it is given, unless the module imports that name.
    fn add_made(&mut self) {
        for made in std::mem::take(&mut self.made) {
            let Some(own) = self.macros.get(&made.by) else {
                continue;
            };
            let module = self.modules.get_mut(&made.module).expect("it was added");
            let names = own.iter().chain(&made.given);
            let new = names.filter(|name| !module.aliases.contains_key(*name));
            module.items.extend(new.cloned());
        }
    }

    fn read_folder(&mut self, root: &Path, folder: &Path) {
        let entries = fs::read_dir(folder).expect("a folder");
        let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
        paths.sort();
        for path in paths {
            if path.is_dir() {
                self.read_folder(root, &path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                self.read_file(root, &path);
            }
        }
    }

    fn read_file(&mut self, root: &Path, path: &Path) {
        let inside = path.strip_prefix(root).expect("below the root");
        let module = inside.with_extension("");
        let mut module: Names = module
            .iter()
            .map(|part| part.to_string_lossy().into_owned())
            .collect();
        if module
            .iter()
            .any(|part| part == "tests" || part == "testing")
        {
            return;
        }
        if module == ["lib"] || module.last().is_some_and(|part| part == "mod") {
            module.pop();
        }
        let file = self.files.len();
        let text = fs::read_to_string(path).expect("text");
        let parsed = syn::parse_file(&text);
        let parsed = parsed.unwrap_or_else(|error| panic!("{}: {error}", inside.display()));
        self.files.push(inside.to_owned());
        self.texts.push(text);
        self.add_module(module.clone(), file);
        let mut reader = Reader {
            sources: self,
            module,
            file,
        };
        reader.visit_file(&parsed);
    }

    fn add_module(&mut self, names: Names, file: usize) {
        let module = Module {
            file,
            ..Module::default()
        };
        self.modules.insert(names, module);
    }

    /// Returns the files with their texts.
    pub fn texts(&self) -> impl Iterator<Item = (&Path, &str)> {
        let texts = self.texts.iter().map(String::as_str);
        self.files.iter().map(PathBuf::as_path).zip(texts)
    }

    /// Returns which files import which, sorted. A re-export is not an import: whoever uses it
    /// imports the file of the item that it names.
    pub fn imports(&self) -> Vec<Import> {
        let pairs = self.pairs().into_iter();
        pairs
            .map(|(from, to)| Import {
                from: self.files[from].clone(),
                to: self.files[to].clone(),
            })
            .collect()
    }

    /// Returns the files of each circle.
    pub fn circles(&self) -> Vec<Vec<String>> {
        let mut imported: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (from, to) in self.pairs() {
            imported.entry(from).or_default().push(to);
        }
        let reached: Vec<BTreeSet<usize>> = (0..self.files.len())
            .map(|start| {
                let (mut reached, mut next) = (BTreeSet::new(), vec![start]);
                while let Some(file) = next.pop() {
                    let further = imported.get(&file).into_iter().flatten().copied();
                    next.extend(further.filter(|to| reached.insert(*to)));
                }
                reached
            })
            .collect();
        let in_circle = |a: usize, b: usize| reached[a].contains(&b) && reached[b].contains(&a);
        let mut circles = BTreeSet::new();
        for file in (0..self.files.len()).filter(|&file| in_circle(file, file)) {
            let circle = (0..self.files.len()).filter(|&other| in_circle(file, other));
            let names = circle.map(|file| self.files[file].display().to_string());
            circles.insert(names.collect::<Vec<_>>());
        }
        circles.into_iter().collect()
    }

    /// Returns the paths of this crate whose item was not found, each with its file: imports
    /// that [`imports`](Self::imports) does not know.
    pub fn unresolved(&self) -> BTreeSet<String> {
        let named = self.named.iter().filter(|named| is_root(&named.path[0]));
        let unknown = named
            .filter(|n| matches!(self.resolve(&n.module, &n.path, 0), Found::Unknown))
            .map(|n| format!("{}: {}", self.files[n.file].display(), n.path.join("::")));
        unknown.collect()
    }

    fn pairs(&self) -> BTreeSet<(usize, usize)> {
        let file_of = |named: &Named| match self.resolve(&named.module, &named.path, 0) {
            Found::File(file) => Some(file),
            Found::Foreign | Found::Unknown => None,
        };
        let pairs = self
            .named
            .iter()
            .filter_map(|n| Some((n.file, file_of(n)?)));
        pairs.filter(|(from, to)| from != to).collect()
    }

    /// Finds the item that a path in a module names.
    fn resolve(&self, module: &Names, path: &[String], depth: usize) -> Found {
        assert!(depth < 100, "{path:?} names itself");
        let mut at = module.clone();
        let mut rest = path;
        match path[0].as_str() {
            "crate" => {
                at.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            _ => {
                while rest.first().is_some_and(|part| part == "super") {
                    if at.pop().is_none() {
                        return Found::Unknown;
                    }
                    rest = &rest[1..];
                }
            }
        }
        loop {
            let Some(module) = self.modules.get(&at) else {
                return Found::Unknown;
            };
            let Some(name) = rest.first() else {
                return Found::File(module.file);
            };
            if module.items.contains(name) {
                return Found::File(module.file);
            }
            let child = |name: &String| [&at[..], std::slice::from_ref(name)].concat();
            if self.modules.contains_key(&child(name)) {
                at = child(name);
                rest = &rest[1..];
                continue;
            }
            if let Some(alias) = module.aliases.get(name) {
                if alias.len() == 1 && alias[0] == *name {
                    return Found::Foreign;
                }
                let path = [&alias[..], &rest[1..]].concat();
                return self.resolve(&at, &path, depth + 1);
            }
            // A path that begins with neither of these names another crate.
            let is_ours =
                |glob: &&Names| is_root(&glob[0]) || self.modules.contains_key(&child(&glob[0]));
            let mut found = module.globs.iter().filter(is_ours).map(|glob| {
                let path = [&glob[..], rest].concat();
                self.resolve(&at, &path, depth + 1)
            });
            let found = found.find(|found| !matches!(found, Found::Unknown));
            let is_first = rest.len() == path.len() && !is_root(&path[0]);
            return found.unwrap_or(if is_first {
                Found::Foreign
            } else {
                Found::Unknown
            });
        }
    }
}

/// Collects the items of a file and the paths that it names.
struct Reader<'s> {
    sources: &'s mut Sources,
    module: Names,
    file: usize,
}

impl Reader<'_> {
    fn note(&mut self, path: Names) {
        if path.len() > 1 {
            self.sources.named.push(Named {
                module: self.module.clone(),
                file: self.file,
                path,
            });
        }
    }

    fn module(&mut self) -> &mut Module {
        let module = self.sources.modules.get_mut(&self.module);
        module.expect("it was added")
    }

    /// Notes which items the definition of a macro names, or where one is used and with which
    /// names.
    fn note_macro(&mut self, item: &syn::ItemMacro) {
        let mut found = BTreeSet::new();
        if let Some(name) = &item.ident {
            find_items(item.mac.tokens.clone(), &mut found);
            self.sources.macros.insert(name.to_string(), found);
            return;
        }
        for token in item.mac.tokens.clone() {
            if let TokenTree::Ident(name) = token {
                found.insert(name.to_string());
            }
        }
        let by = item.mac.path.segments.last().expect("a name");
        self.sources.made.push(Made {
            module: self.module.clone(),
            by: by.ident.to_string(),
            given: found,
        });
    }

    /// Collects the paths in the text of a macro.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let (mut path, mut colons) = (Names::new(), 0);
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(name) => {
                    let name = name.to_string();
                    if path.is_empty() || colons != 2 {
                        self.note(std::mem::take(&mut path));
                        path.push(name);
                    } else {
                        path.push(name);
                    }
                }
                TokenTree::Group(group) => {
                    self.note(std::mem::take(&mut path));
                    self.read_tokens(group.stream());
                }
                _ => self.note(std::mem::take(&mut path)),
            }
            colons = 0;
        }
        self.note(path);
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        let (attributes, name): (&[Attribute], _) = match item {
            Item::Const(item) => (&item.attrs, Some(&item.ident)),
            Item::Enum(item) => (&item.attrs, Some(&item.ident)),
            Item::Fn(item) => (&item.attrs, Some(&item.sig.ident)),
            Item::Macro(item) => (&item.attrs, item.ident.as_ref()),
            Item::Static(item) => (&item.attrs, Some(&item.ident)),
            Item::Struct(item) => (&item.attrs, Some(&item.ident)),
            Item::Trait(item) => (&item.attrs, Some(&item.ident)),
            Item::Type(item) => (&item.attrs, Some(&item.ident)),
            Item::Impl(item) => (&item.attrs, None),
            Item::Mod(item) => (&item.attrs, None),
            Item::Use(item) => (&item.attrs, None),
            _ => return,
        };
        if attributes.iter().any(is_for_tests) {
            return;
        }
        if let Some(name) = name {
            let name = name.to_string();
            self.module().items.insert(name);
        }
        if let Item::Macro(item) = item {
            self.note_macro(item);
        }
        match item {
            Item::Mod(inline) if inline.content.is_some() => {
                self.module.push(inline.ident.to_string());
                self.sources.add_module(self.module.clone(), self.file);
                visit::visit_item(self, item);
                self.module.pop();
            }
            Item::Mod(_) => {}
            item => visit::visit_item(self, item),
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let mut leaves = Vec::new();
        find_leaves(&item.tree, &mut Names::new(), &mut leaves);
        for (name, path) in leaves {
            if matches!(item.vis, Visibility::Inherited) {
                self.note(path.clone());
            }
            match name {
                Some(name) => drop(self.module().aliases.insert(name, path)),
                None => self.module().globs.push(path),
            }
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        self.note(path.segments.iter().map(|s| s.ident.to_string()).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, found: &'ast Macro) {
        self.read_tokens(found.tokens.clone());
        visit::visit_macro(self, found);
    }
}

/// Finds the names after `struct`, `enum` and the like.
fn find_items(tokens: TokenStream, found: &mut BTreeSet<String>) {
    let mut is_next = false;
    for token in tokens {
        match token {
            TokenTree::Ident(name) => {
                let name = name.to_string();
                if is_next {
                    found.insert(name);
                    is_next = false;
                } else {
                    let words = ["const", "enum", "fn", "static", "struct", "trait", "type"];
                    is_next = words.contains(&name.as_str());
                }
            }
            TokenTree::Group(group) => {
                find_items(group.stream(), found);
                is_next = false;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => is_next = false,
        }
    }
}

/// Whether a path with this beginning belongs to the crate.
fn is_root(name: &str) -> bool {
    matches!(name, "crate" | "self" | "super")
}

fn is_for_tests(attribute: &Attribute) -> bool {
    let is_test = || {
        attribute
            .parse_args::<syn::Ident>()
            .is_ok_and(|what| what == "test")
    };
    attribute.path().is_ident("cfg") && is_test()
}

/// Returns the paths of a `use`, each with the name that it is imported under; `None` for a
/// glob.
fn find_leaves(tree: &UseTree, at: &mut Names, found: &mut Vec<(Option<String>, Names)>) {
    let full = |at: &Names, name: String| {
        let is_itself = name == "self";
        let name = (!is_itself).then_some(name);
        at.iter().cloned().chain(name).collect::<Names>()
    };
    match tree {
        UseTree::Path(path) => {
            at.push(path.ident.to_string());
            find_leaves(&path.tree, at, found);
            at.pop();
        }
        UseTree::Name(name) => {
            let path = full(at, name.ident.to_string());
            found.push((path.last().cloned(), path));
        }
        UseTree::Rename(rename) => {
            let path = full(at, rename.ident.to_string());
            found.push((Some(rename.rename.to_string()), path));
        }
        UseTree::Glob(_) => found.push((None, at.clone())),
        UseTree::Group(group) => {
            for tree in &group.items {
                find_leaves(tree, at, found);
            }
        }
    }
}
