//! Lines from a program that is not trusted: each bounded, all of them together bounded, and none lost when the reader
//! is dropped while it waits.

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};

/// Why no further line can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineError {
    /// A line goes on beyond its bound.
    #[error("a line is longer than {0} bytes")]
    TooLong(usize),
    /// All lines together go on beyond their bound.
    #[error("all lines together are longer than {0} bytes")]
    TooMuch(u64),
    /// The pipe broke.
    #[error("the pipe broke: {0}")]
    Broken(String),
}

/// Reads lines. At most one is held at a time, so who writes faster than is read waits: the pipe is the queue.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    line_bytes_max: usize,
    bytes_left: u64,
    bytes_max: u64,
}

impl<R: AsyncRead + Unpin + Send> Lines<R> {
    pub(super) fn new(reader: R, line_bytes_max: usize, bytes_max: u64) -> Self {
        Self {
            reader: BufReader::new(reader),
            line: Vec::new(),
            line_bytes_max,
            bytes_left: bytes_max,
            bytes_max,
        }
    }

    /// The next line without its end; none at the end of the input. A last line that was not ended counts as a line.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<u8>>, LineError> {
        loop {
            let (taken, ended) = {
                let available =
                    self.reader.fill_buf().await.map_err(|error| LineError::Broken(error.to_string()))?;
                if available.is_empty() {
                    let rest = std::mem::take(&mut self.line);
                    return Ok((!rest.is_empty()).then_some(rest));
                }
                let end = available.iter().position(|byte| *byte == b'\n');
                let part = available.get(..end.unwrap_or(available.len())).unwrap_or_default();
                if self.line.len().saturating_add(part.len()) > self.line_bytes_max {
                    return Err(LineError::TooLong(self.line_bytes_max));
                }
                self.line.extend_from_slice(part);
                (part.len() + usize::from(end.is_some()), end.is_some())
            };
            self.reader.consume(taken);
            let read = u64::try_from(taken).unwrap_or(u64::MAX);
            self.bytes_left = self.bytes_left.checked_sub(read).ok_or(LineError::TooMuch(self.bytes_max))?;
            if ended {
                let mut line = std::mem::take(&mut self.line);
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(Some(line));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8], line_bytes_max: usize, bytes_max: u64) -> (Vec<Vec<u8>>, Option<LineError>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let mut lines = Lines::new(bytes, line_bytes_max, bytes_max);
        let mut read = Vec::new();
        runtime.block_on(async {
            loop {
                match lines.next().await {
                    Ok(Some(line)) => read.push(line),
                    Ok(None) => return (read, None),
                    Err(error) => return (read, Some(error)),
                }
            }
        })
    }

    #[test]
    fn a_line_beyond_its_bound_is_refused_before_it_is_held() {
        let (read, error) = all(b"12345\n123456\n", 5, 100);
        assert_eq!((read, error), (vec![b"12345".to_vec()], Some(LineError::TooLong(5))));
    }

    #[test]
    fn all_lines_together_are_bounded() {
        assert_eq!(all(b"1\n2\n3\n", 5, 4).1, Some(LineError::TooMuch(4)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_as_the_lines_that_they_are(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let (read, error) = all(&bytes, 1_000, 1_000);
            prop_assert_eq!(error, None);
            let mut expected: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            if expected.last().is_some_and(Vec::is_empty) {
                expected.pop();
            }
            let last = expected.len().saturating_sub(usize::from(!bytes.ends_with(b"\n")));
            for line in expected.iter_mut().take(last) {
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
            }
            prop_assert_eq!(read, expected);
        }
    }
}
