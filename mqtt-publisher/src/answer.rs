//! What the order service is told.

use serde::Serialize;

/// The answer to a request, with its status. Its body has the same two members always.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// 200 when the batch was tried, whatever became of it; 400, 404, 405 or 413 for a request that is none; 503 without a
    /// broker, and when the variable that names it is wrong.
    pub status: u16,
    outcome: Outcome,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Outcome {
    published: usize,
    error: Option<String>,
}

impl Answer {
    /// The first `published` messages were acknowledged by the broker, and none failed: all of them, or as many as there was time for. The
    /// one after them may have reached the broker all the same.
    pub fn published(published: usize) -> Self {
        Self { status: 200, outcome: Outcome { published, error: None } }
    }

    /// The first `published` messages were acknowledged. The next one failed, and may have reached the broker all the same;
    /// those after it were not tried.
    pub fn stopped(published: usize, error: String) -> Self {
        Self { status: 200, outcome: Outcome { published, error: Some(error) } }
    }

    /// Nothing was tried.
    pub fn refused(status: u16, error: impl Into<String>) -> Self {
        Self { status, outcome: Outcome { published: 0, error: Some(error.into()) } }
    }

    /// The body: `{"published":3,"error":null}`.
    pub fn body(&self) -> Vec<u8> {
        // It cannot fail for a number and a text.
        serde_json::to_vec(&self.outcome).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(answer: &Answer) -> String {
        String::from_utf8(answer.body()).expect("text")
    }

    #[test]
    fn the_body_has_both_members_always() {
        assert_eq!(body(&Answer::published(3)), r#"{"published":3,"error":null}"#);
        let stopped = Answer::stopped(2, "message 3: \"x\"".to_owned());
        assert_eq!(body(&stopped), r#"{"published":2,"error":"message 3: \"x\""}"#);
        let refused = Answer::refused(400, "why");
        assert_eq!((refused.status, body(&refused).as_str()), (400, r#"{"published":0,"error":"why"}"#));
    }
}
