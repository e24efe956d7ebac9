use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyList, PyString};
use tierstore_core::error::{Error, Result};
use tierstore_core::proto;

use crate::buffer::contiguous;
use crate::errors::to_py;

/// Parsing fewer bytes than this is quicker than letting other threads run meanwhile.
const DETACH_MIN_BYTES: usize = 65_536;

/// One import statement: its `path`, its `kind` ("plain", "public", "weak" or "option"), and where the word `import`
/// stands: `line` and `column` from 1, as protoc prints them. Bytes of a path that are not UTF-8 are surrogate escapes.
#[pyclass(frozen, module = "tierstore._native")]
struct Import {
    #[pyo3(get)]
    path: Py<PyString>,
    kind: proto::ImportKind,
    #[pyo3(get)]
    line: u32,
    #[pyo3(get)]
    column: u32,
}

#[pymethods]
impl Import {
    #[getter]
    fn kind(&self) -> &'static str {
        self.kind.name()
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<Import>().map(Bound::get) else { return Ok(false) };
        let same_place = (self.kind, self.line, self.column) == (other.kind, other.line, other.column);
        Ok(same_place && self.path.bind(py).as_any().eq(&other.path)?)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<u64> {
        let mut hasher = DefaultHasher::new();
        (self.path.bind(py).hash()?, self.line, self.column).hash(&mut hasher);
        Ok(hasher.finish())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (path, kind) = (self.path.bind(py).repr()?, self.kind.name());
        Ok(format!("Import(path={path}, kind='{kind}', line={}, column={})", self.line, self.column))
    }
}

/// The paths that the files of one call import, each once. Their Python strings are made when they are first read.
#[derive(Default)]
struct Paths {
    spelt: Vec<Box<[u8]>>,
    texts: Vec<PyOnceLock<Py<PyString>>>,
}

impl Paths {
    fn text(&self, py: Python<'_>, number: u32) -> PyResult<Py<PyString>> {
        let number = number as usize;
        let made = self.texts[number].get_or_try_init(py, || path_text(py, &self.spelt[number]).map(Bound::unbind))?;
        Ok(made.clone_ref(py))
    }
}

/// Numbers paths as they come.
#[derive(Default)]
struct Numbering<'a> {
    numbers: HashMap<Cow<'a, [u8]>, u32>,
}

impl<'a> Numbering<'a> {
    fn number(&mut self, path: Cow<'a, [u8]>) -> u32 {
        let next = self.numbers.len() as u32;
        *self.numbers.entry(path).or_insert(next)
    }

    fn paths(self) -> Paths {
        let mut spelt = vec![Box::default(); self.numbers.len()];
        for (path, number) in self.numbers {
            spelt[number as usize] = path.into();
        }
        Paths { texts: spelt.iter().map(|_| PyOnceLock::new()).collect(), spelt }
    }
}

/// An import whose path has a number.
struct Statement {
    path: u32,
    kind: proto::ImportKind,
    at: proto::Position,
}

/// A file whose Python objects are yet to be made.
struct Parsed {
    package: Box<str>,
    syntax: proto::Syntax,
    edition: Option<String>,
    statements: Box<[Statement]>,
}

impl Parsed {
    fn new<'a>(file: proto::ProtoFile<'a>, numbering: &mut Numbering<'a>) -> Self {
        let statement = |import: proto::Import<'a>| Statement {
            path: numbering.number(import.path),
            kind: import.kind,
            at: import.at,
        };
        let statements = file.imports.into_iter().map(statement).collect();
        Parsed { package: file.package.into(), syntax: file.syntax, edition: file.edition, statements }
    }
}

/// What a source says of itself: its `package` ("" without one), its `syntax` ("proto2", "proto3" or "editions"), its
/// `edition` (None before editions) and its `imports` in the order of the source.
#[pyclass(frozen, module = "tierstore._native")]
struct ProtoFile {
    parsed: Parsed,
    paths: Arc<Paths>,
    imports: PyOnceLock<Vec<Py<Import>>>,
}

impl ProtoFile {
    fn new(parsed: Parsed, paths: Arc<Paths>) -> Self {
        ProtoFile { parsed, paths, imports: PyOnceLock::new() }
    }

    fn import(&self, py: Python<'_>, statement: &Statement) -> PyResult<Py<Import>> {
        let proto::Position { line, column } = statement.at;
        Py::new(py, Import { path: self.paths.text(py, statement.path)?, kind: statement.kind, line, column })
    }
}

#[pymethods]
impl ProtoFile {
    #[getter]
    fn package(&self) -> &str {
        &self.parsed.package
    }

    #[getter]
    fn syntax(&self) -> &'static str {
        self.parsed.syntax.name()
    }

    #[getter]
    fn edition(&self) -> Option<&str> {
        self.parsed.edition.as_deref()
    }

    #[getter]
    fn imports<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let make = || self.parsed.statements.iter().map(|statement| self.import(py, statement)).collect();
        PyList::new(py, self.imports.get_or_try_init(py, make)?)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<ProtoFile>().map(Bound::get) else { return Ok(false) };
        let head = |file: &Parsed| (file.package.clone(), file.syntax, file.edition.clone());
        Ok(head(&self.parsed) == head(&other.parsed) && self.imports(py)?.eq(other.imports(py)?)?)
    }

    fn __hash__(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (&self.parsed.package, self.parsed.statements.len()).hash(&mut hasher);
        hasher.finish()
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (package, imports) = (PyString::new(py, self.package()).repr()?, self.imports(py)?.repr()?);
        let edition = self.edition().map_or("None".into(), |edition| format!("'{edition}'"));
        let syntax = self.syntax();
        Ok(format!("ProtoFile(package={package}, syntax='{syntax}', edition={edition}, imports={imports})"))
    }
}

/// The imports, package and syntax of a protobuf source; ProtoSyntaxError as protoc's parser would print it.
///
/// Any file that protoc's parser accepts is read as protoc reads it. With `strict`, any that it refuses is refused; without,
/// a fault of grammar inside a long block may pass, since such blocks are read for brackets, strings and comments only.
#[pyfunction]
#[pyo3(signature = (source, /, *, strict = false))]
fn parse_imports(source: &Bound<'_, PyAny>, strict: bool) -> PyResult<ProtoFile> {
    let (py, bytes) = (source.py(), bytes_of(source)?);
    let parsed = match bytes.len() {
        DETACH_MIN_BYTES.. => py.detach(|| parse(&bytes, strict)),
        _ => parse(&bytes, strict),
    };
    let mut numbering = Numbering::default();
    let parsed = Parsed::new(parsed.map_err(|error| to_py(&error))?, &mut numbering);
    Ok(ProtoFile::new(parsed, Arc::new(numbering.paths())))
}

/// Check that all of a protobuf source is sound. The ProtoSyntaxError quotes nothing of it.
#[pyfunction]
#[pyo3(signature = (source, /))]
fn check_proto(source: &Bound<'_, PyAny>) -> PyResult<()> {
    let bytes = bytes_of(source)?;
    source.py().detach(|| proto::check(&bytes)).map_err(|error| to_py(&error))
}

/// `parse_imports` of each source, detached from the interpreter; a ProtoSyntaxError stands in the place of its file.
#[pyfunction]
#[pyo3(signature = (sources, /, *, strict = false))]
fn parse_many<'py>(sources: &Bound<'py, PyAny>, strict: bool) -> PyResult<Bound<'py, PyList>> {
    let py = sources.py();
    let sources = sources.try_iter()?.collect::<PyResult<Vec<_>>>()?;
    let bytes = sources.iter().map(bytes_of).collect::<PyResult<Vec<_>>>()?;
    let (parsed, paths) = py.detach(|| {
        let mut numbering = Numbering::default();
        let mut one = |bytes| parse(bytes, strict).map(|file| Parsed::new(file, &mut numbering));
        let parsed: Vec<_> = bytes.iter().map(|bytes| one(bytes)).collect();
        (parsed, Arc::new(numbering.paths()))
    });
    let answers = PyList::empty(py);
    for result in parsed {
        match result {
            Ok(parsed) => answers.append(ProtoFile::new(parsed, paths.clone()))?,
            Err(error) => answers.append(to_py(&error).into_value(py))?,
        }
    }
    Ok(answers)
}

fn parse(bytes: &[u8], strict: bool) -> Result<proto::ProtoFile<'_>> {
    if strict { proto::parse_strict(bytes) } else { proto::parse(bytes) }
}

fn bytes_of<'a>(source: &'a Bound<'_, PyAny>) -> PyResult<Cow<'a, [u8]>> {
    let Ok(text) = source.cast::<PyString>() else { return contiguous(source) };
    match text.to_str() {
        Ok(text) => Ok(Cow::Borrowed(text.as_bytes())),
        Err(_) => {
            let encoded = text.call_method1(intern!(text.py(), "encode"), ("utf-8", "surrogateescape"));
            let encoded = encoded
                .map_err(|_| to_py(&Error::invalid("source contains a lone surrogate, which UTF-8 cannot encode")))?;
            Ok(Cow::Owned(encoded.cast::<PyBytes>()?.as_bytes().to_vec()))
        }
    }
}

fn path_text<'py>(py: Python<'py>, path: &[u8]) -> PyResult<Bound<'py, PyString>> {
    match std::str::from_utf8(path) {
        Ok(text) => Ok(PyString::new(py, text)),
        Err(_) => {
            let text = PyBytes::new(py, path).call_method1(intern!(py, "decode"), ("utf-8", "surrogateescape"))?;
            Ok(text.cast_into::<PyString>()?)
        }
    }
}

pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Import>()?;
    module.add_class::<ProtoFile>()?;
    module.add_function(wrap_pyfunction!(check_proto, module)?)?;
    module.add_function(wrap_pyfunction!(parse_imports, module)?)?;
    module.add_function(wrap_pyfunction!(parse_many, module)?)
}
