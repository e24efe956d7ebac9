//! Where encoded bytes go.

/// Bytes that grow at their end. A part with a length known to the compiler is put with one look at the room that is left.
///
/// Where no memory is left a sink may drop a part, and every part after it: it then says so when it is finished.
pub trait Sink {
    fn put<const N: usize>(&mut self, bytes: [u8; N]);
    fn put_slice(&mut self, bytes: &[u8]);
    /// All that was put so far.
    fn written(&mut self) -> &mut [u8];
}

impl Sink for Vec<u8> {
    #[inline]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        self.extend_from_slice(&bytes);
    }

    #[inline]
    fn put_slice(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn written(&mut self) -> &mut [u8] {
        self
    }
}
