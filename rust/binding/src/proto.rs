use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use pyo3::intern;
use pyo3::prelude::*;
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

/// What a source says of itself: its `package` ("" without one), its `syntax` ("proto2", "proto3" or "editions"), its
/// `edition` (None before editions) and its `imports` in the order of the source.
#[pyclass(frozen, module = "tierstore._native")]
struct ProtoFile {
    #[pyo3(get)]
    package: Py<PyString>,
    syntax: proto::Syntax,
    #[pyo3(get)]
    edition: Option<String>,
    imports: Vec<Py<Import>>,
}

#[pymethods]
impl ProtoFile {
    #[getter]
    fn syntax(&self) -> &'static str {
        self.syntax.name()
    }

    #[getter]
    fn imports<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, &self.imports)
    }

    fn __eq__(&self, py: Python<'_>, other: &Bound<'_, PyAny>) -> PyResult<bool> {
        let Ok(other) = other.cast::<ProtoFile>().map(Bound::get) else { return Ok(false) };
        let same_syntax = (self.syntax, &self.edition) == (other.syntax, &other.edition);
        Ok(same_syntax
            && self.package.bind(py).as_any().eq(&other.package)?
            && self.imports(py)?.eq(other.imports(py)?)?)
    }

    fn __hash__(&self, py: Python<'_>) -> PyResult<u64> {
        let mut hasher = DefaultHasher::new();
        (self.package.bind(py).hash()?, self.imports.len()).hash(&mut hasher);
        Ok(hasher.finish())
    }

    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let (package, imports) = (self.package.bind(py).repr()?, self.imports(py)?.repr()?);
        let edition = self.edition.as_ref().map_or("None".into(), |edition| format!("'{edition}'"));
        let syntax = self.syntax.name();
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
    to_file(py, parsed.map_err(|error| to_py(&error))?)
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
    let parsed: Vec<_> = py.detach(|| bytes.iter().map(|bytes| parse(bytes, strict)).collect());
    let answers = PyList::empty(py);
    for result in parsed {
        match result {
            Ok(file) => answers.append(to_file(py, file)?)?,
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

fn to_file(py: Python<'_>, file: proto::ProtoFile<'_>) -> PyResult<ProtoFile> {
    let imports = file.imports.iter().map(|import| {
        let path = path_text(py, &import.path)?.unbind();
        let proto::Position { line, column } = import.at;
        Py::new(py, Import { path, kind: import.kind, line, column })
    });
    Ok(ProtoFile {
        package: PyString::new(py, &file.package).unbind(),
        syntax: file.syntax,
        edition: file.edition,
        imports: imports.collect::<PyResult<_>>()?,
    })
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
