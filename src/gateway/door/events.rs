//! The events of a stream that passes by in pieces (HTML standard, "Server-sent events").
//!
//! The builtin agent reads its own streams with a crate, which ends where it meets what it cannot read. Here others'
//! answers pass in any state, for as long as they last, and each byte is looked at once.

/// Puts together the data of events.
#[derive(Default)]
pub(super) struct Events {
    /// The beginning of a line.
    line: Vec<u8>,
    /// The data of the event that is being told, if there is any.
    data: Option<Vec<u8>>,
    /// Whether the last piece ended with a carriage return, which a line feed may still belong to.
    after_return: bool,
}

impl Events {
    /// Takes a piece, and hands on the data of every event that it completes. Data that is no text is left out.
    pub(super) fn take(&mut self, piece: &[u8], mut event: impl FnMut(&str)) {
        let mut rest = piece;
        if let (true, Some((b'\n', after))) = (self.after_return, rest.split_first()) {
            rest = after;
        }
        self.after_return &= piece.is_empty();
        while let Some(end) = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
            let (line, tail) = rest.split_at(end);
            if self.line.is_empty() {
                self.end_line(line, &mut event);
            } else {
                self.line.extend_from_slice(line);
                let line = std::mem::take(&mut self.line);
                self.end_line(&line, &mut event);
            }
            rest = match tail {
                [b'\r'] => {
                    self.after_return = true;
                    &[]
                }
                [b'\r', b'\n', after @ ..] | [_, after @ ..] => after,
                [] => &[],
            };
        }
        self.line.extend_from_slice(rest);
    }

    /// Hands on an event that the end of the stream left open.
    pub(super) fn end(&mut self, mut event: impl FnMut(&str)) {
        let line = std::mem::take(&mut self.line);
        self.end_line(&line, &mut event);
        self.end_line(b"", &mut event);
    }

    fn end_line(&mut self, line: &[u8], event: &mut impl FnMut(&str)) {
        if line.is_empty() {
            let data = self.data.take();
            if let Some(text) = data.as_deref().and_then(|data| std::str::from_utf8(data).ok()) {
                event(text);
            }
            return;
        }
        let Some(value) = line.strip_prefix(b"data:") else { return };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &mut self.data {
            Some(data) => {
                data.push(b'\n');
                data.extend_from_slice(value);
            }
            None => self.data = Some(value.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], pieces: usize) -> Vec<String> {
        let (mut events, mut found) = (Events::default(), Vec::new());
        for piece in text.chunks(pieces) {
            events.take(piece, |data| found.push(data.to_owned()));
        }
        events.end(|data| found.push(data.to_owned()));
        found
    }

    #[test]
    fn events_are_the_same_however_the_stream_is_cut() {
        let text = ": ping\n\nevent: a\r\ndata: one\r\n\r\ndata:two\rdata:  and\r\rid: 7\n\ndata: \u{1F600}\n\n\
                    data:\n\ndata: open";
        for pieces in 1..40 {
            assert_eq!(
                read(text.as_bytes(), pieces),
                ["one", "two\n and", "\u{1F600}", "", "open"],
                "{pieces}"
            );
        }
    }

    #[test]
    fn data_that_is_no_text_is_left_out_and_what_follows_is_read() {
        assert_eq!(read(b"data: \xff\xfe\n\ndata: after\n\n", 3), ["after"]);
    }
}
