//! What a collector has got, decoded.

use std::path::Path;
use std::process::Command;

use order_dev::collector::{Collector, Received};
use order_dev::manifests::install_python_packages;
pub use order_dev::otlp::ExportedSpan;

use super::poll::eventually;

/// The bodies that the collector has taken.
fn taken(collector: &Collector) -> Vec<Received> {
    collector.received().into_iter().filter(|request| request.status == 200).collect()
}

/// All spans that the collector has taken.
pub fn spans(collector: &Collector) -> Vec<ExportedSpan> {
    taken(collector).iter().flat_map(|request| decode(&request.body)).collect()
}

/// Waits until the collector has a span of which this is true.
pub async fn until_span(
    collector: &Collector,
    what: &str,
    is: impl Fn(&ExportedSpan) -> bool,
) -> ExportedSpan {
    eventually(what, async || spans(collector).into_iter().find(&is)).await
}

/// Decodes a request with the messages that the service has encoded it with.
pub fn decode(body: &[u8]) -> Vec<ExportedSpan> {
    let spans = order_dev::otlp::decode(body).expect("a request of OTLP");
    for span in &spans {
        assert_ne!(span.kind, "SPAN_KIND_UNSPECIFIED", "{span:?}");
        let texts_and_numbers = span.attributes.values().chain(span.resource.values());
        assert!(texts_and_numbers.into_iter().all(|value| value.is_string() || value.is_i64()), "{span:?}");
    }
    spans
}

/// The same spans, decoded by OpenTelemetry's Python package.
pub async fn decoded_in_python(collector: &Collector) -> Vec<ExportedSpan> {
    let sources = order_dev::repo_root().join("tests/otlp");
    let folder = order_dev::component::target_dir().await.expect("a target directory").join("otlp-test");
    std::fs::create_dir_all(&folder).expect("a folder");
    let environment = folder.join("python");
    install_python_packages(&sources.join("requirements.txt"), &environment).expect("Python packages");
    let files: Vec<_> = taken(collector)
        .iter()
        .enumerate()
        .map(|(at, request)| {
            let file = folder.join(format!("{}-{at}.pb", std::process::id()));
            std::fs::write(&file, &request.body).expect("a file");
            file
        })
        .collect();
    let output = python(&environment, &sources.join("decode.py"), &files);
    for file in files {
        std::fs::remove_file(file).expect("it is there");
    }
    serde_json::from_slice(&output).expect("spans")
}

fn python(environment: &Path, script: &Path, files: &[std::path::PathBuf]) -> Vec<u8> {
    let output = Command::new(environment.join("bin/python")).arg(script).args(files).output();
    let output = output.expect("Python is started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
