//! Where the spans go, and which traces are sampled: OpenTelemetry's own variables, in lower case.

use super::allowed_host;
use super::base_url::BaseUrl;
use super::secret::Secret;
use super::variables::{Variables, wrong};
use crate::telemetry::tracing::trace::Sampler;
use anyhow::Result;
use percent_encoding::percent_decode_str;

/// The variables about tracing.
#[derive(Debug)]
pub struct Tracing {
    /// The collector (OTLP over HTTP); spans are sent to `/v1/traces` below it.
    pub endpoint: BaseUrl,
    /// Header fields of each request to it, such as a token.
    pub headers: Secret<Vec<(String, String)>>,
    /// What the service is called in the spans (`service.name`).
    pub service_name: String,
    /// Which of the traces are sampled that begin here. Those of callers are sampled when the caller's are.
    pub sampler: Sampler,
}

/// Header fields that are the request's own.
const OWN_HEADERS: [&str; 5] = ["content-type", "content-length", "content-encoding", "host", "user-agent"];

/// `None` without a collector. The other variables must be right all the same.
///
/// # Errors
/// One sentence that names the invalid variable.
pub fn parse(variables: &Variables) -> Result<Option<Tracing>> {
    let ratio = variables.text("otel_traces_sampler_arg").trim();
    let sampler = ratio.parse().ok().and_then(Sampler::new);
    let sampler = sampler.ok_or_else(|| wrong("otel_traces_sampler_arg", "a number from 0 to 1, as 0.1"))?;
    let headers = headers(variables.text("otel_exporter_otlp_headers")).ok_or_else(|| {
        wrong("otel_exporter_otlp_headers", "empty, or name=value pairs with commas between them")
    })?;
    let service_name = variables.optional_text("otel_service_name");
    let service_name = service_name.ok_or_else(|| wrong("otel_service_name", "a name"))?.to_owned();
    // Spin has the variable as it is, with whatever is around it.
    let endpoint = variables.text("otel_exporter_otlp_endpoint");
    if endpoint.is_empty() {
        return Ok(None);
    }
    let endpoint = endpoint_of(endpoint).ok_or_else(|| {
        wrong(
            "otel_exporter_otlp_endpoint",
            "empty, or an http:// or https:// URL without a path, as http://collector:4318",
        )
    })?;
    Ok(Some(Tracing { endpoint, headers: Secret::new(headers), service_name, sampler }))
}

/// A base URL without a path, because Spin takes it as an allowed host, too; nor with a wildcard.
fn endpoint_of(url: &str) -> Option<BaseUrl> {
    let is_one_host = allowed_host::is_entry(url) && !url.contains(['*', ',']) && !url.contains("..");
    BaseUrl::parse(url).filter(|base| is_one_host && base.path.is_empty())
}

/// Pairs as in W3C Baggage, without properties: values are percent-encoded where they must be.
fn headers(text: &str) -> Option<Vec<(String, String)>> {
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let header = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let name = name.trim().to_ascii_lowercase();
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?.into_owned();
        let is_usable = is_token(&name) && !OWN_HEADERS.contains(&&*name);
        (is_usable && value.bytes().all(|b| matches!(b, b' '..=b'~'))).then_some((name, value))
    };
    pairs.map(header).collect()
}

/// A `token` (RFC 9110, 5.6.2).
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(changed: &[(&str, &str)]) -> Result<Option<Tracing>> {
        let mut values = vec![
            ("otel_exporter_otlp_endpoint", "http://collector:4318"),
            ("otel_service_name", "order-service"),
            ("otel_traces_sampler_arg", "1"),
        ];
        values.retain(|(name, _)| changed.iter().all(|(other, _)| other != name));
        values.extend(changed);
        parse(&Variables::for_tests(&values))
    }

    #[test]
    fn tracing_is_on_with_a_collector() {
        assert!(parsed(&[("otel_exporter_otlp_endpoint", "")]).unwrap().is_none());
        for url in
            ["http://collector:4318", "https://otel.example/", "http://[::1]:4318", "http://127.0.0.1:4318"]
        {
            let tracing = parsed(&[("otel_exporter_otlp_endpoint", url)]).unwrap().expect("a collector");
            assert_eq!((&*tracing.endpoint.path, &*tracing.service_name), ("", "order-service"), "{url}");
        }
    }

    #[test]
    fn a_wrong_value_is_told_with_the_name_of_its_variable_and_not_shown() {
        for (name, values) in [
            (
                "otel_exporter_otlp_endpoint",
                &[
                    "c:4318",
                    "ftp://c:4318",
                    "http://c:4318/v1/traces",
                    "http://c:4318 ",
                    "http://*:4318",
                    "http://c:4000..4400",
                    "http://u:p@c",
                    "http://",
                    "http://c?x",
                ][..],
            ),
            ("otel_traces_sampler_arg", &["", "1.1", "-1", "NaN", "10%", "1,0"][..]),
            (
                "otel_exporter_otlp_headers",
                &["token", "a b=1", "=1", "x=%00", "x=%ff", "content-type=text/plain", "Host=x"][..],
            ),
            ("otel_service_name", &["", " "][..]),
        ] {
            for value in values {
                let told = parsed(&[(name, value)]).expect_err(value).to_string();
                assert!(told.contains(name), "{told}");
                assert!(value.len() < 8 || !told.contains(value), "{told}");
            }
        }
    }

    #[test]
    fn headers_are_pairs_whose_values_may_be_percent_encoded() {
        for (text, expected) in [
            ("", vec![]),
            (" , ", vec![]),
            ("api-key=abc", vec![("api-key", "abc")]),
            (
                "Authorization=Basic%20dXNlcg%3D%3D, x-scope = a=b ,",
                vec![("authorization", "Basic dXNlcg=="), ("x-scope", "a=b")],
            ),
        ] {
            let read = headers(text).unwrap_or_else(|| panic!("{text}"));
            let read: Vec<_> = read.iter().map(|(name, value)| (&**name, &**value)).collect();
            assert_eq!(read, expected, "{text}");
        }
    }
}
