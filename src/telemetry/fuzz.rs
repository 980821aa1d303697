//! Entry points for fuzzing: what reads the headers of Trace Context. Each takes any bytes, and panics when what must hold does not.

use super::tracing::trace_context::{SpanContext, tracestate};

/// The value of a `traceparent`, and behind a line break those of `tracestate`, a line each: what is read is written the same again, in
/// version 00, and never longer than it may be.
pub fn trace_context(data: &[u8]) {
    let mut lines = data.split(|byte| *byte == b'\n');
    let parent = lines.next().unwrap_or_default();
    let states: Vec<&[u8]> = lines.collect();
    if let Some(context) = SpanContext::of_header(&[parent]) {
        let header = context.to_string();
        assert!(header.len() == 55 && parent.len() >= 55);
        assert_eq!(&header.as_bytes()[3..53], &parent[3..53]);
        assert_eq!(SpanContext::parse(header.as_bytes()), Some(context));
        assert_eq!(SpanContext::of_header(&[parent, parent]), None);
    }
    let state = tracestate(&states);
    assert!(state.len() <= 512 && state.split(',').count() <= 32);
    assert!(state.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
    assert_eq!(tracestate(&[&state]), state);
}
