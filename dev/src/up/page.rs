//! The text that `cargo dev up` prints when everything runs: commands to paste into another terminal.

use super::Running;
use crate::settings::Settings;

/// The page. Every line works as it is, in the order in which they stand.
pub(super) fn page(running: &Running, settings: &Settings) -> String {
    let base = &running.host.base_url;
    let authorization = settings.curl_authorization();
    let token = settings.curl_token();
    let authentication = match token {
        "" => "",
        _ => {
            "\nAuthentication is on: set TOKEN first, to a token of user 101 (docs/API.md, Authentication, shows how to make one).\n"
        }
    };
    let logs = running.host.log_dir().display();
    let sandbox = running.peers.as_ref().map(|peers| sandbox(base, &peers.url(), token)).unwrap_or_default();
    let db = &running.database;
    let psql = format!("psql -h {} -p {} -U {} {}", db.host, db.port, db.user, db.name);
    format!(
        r#"
The order service serves on {base}
{authentication}
Place an order (seats 1, 2 and 3 of event 101 at 150.00 each, and tax), and keep its address:
  curl -i {base}/v1/orders{token} -H 'Content-Type: application/json' -H 'Idempotency-Key: abc123' \
       -d '{{"user_id":"101","event_id":101,"seats":[1,2,3]}}' | tee /tmp/order.txt
  ORDER=$(sed -n 's/^[Ll]ocation: *\([^[:space:]]*\).*/\1/p' /tmp/order.txt)

Read it:
  curl -i {base}$ORDER{token}

Send Payment's callback once more (it changes nothing):
  PAYMENT=$(curl -s {base}$ORDER{token} | sed -E 's/.*"payment" *: *\{{[^}}]*"id" *: *"([^"]+)".*/\1/')
  curl -i {base}/v1/payments/callback -H 'Content-Type: application/json' \
       -d '{{"order_id":"'${{ORDER##*/}}'","payment_id":"'$PAYMENT'","status":"SUCCESS"}}'

Read the API, and try calls in a browser:
  {base}/docs

Look at the service:
  curl {base}/health
  curl {base}/metrics
  curl {base}/internal/stuck{authorization}
  curl -X POST {base}/internal/sweep{authorization}
  {psql}
{sandbox}
Logs are in {logs}. Ctrl-C stops everything; the data stays, until `cargo dev reset`.
"#
    )
}

fn sandbox(base: &str, url: &str, token: &str) -> String {
    format!(
        r#"
See an order's life in a browser: calls, events and spans, over the service and its peers:
  {url}/control/orders

Let the next payments wait for the buyer, place an order, and settle its payment:
  curl -d '{{"mode":"pending"}}' {url}/control/payments/mode
  curl -i {base}/v1/orders{token} -H 'Content-Type: application/json' -H 'Idempotency-Key: abc124' \
       -d '{{"user_id":"101","event_id":101,"seats":[4]}}' | tee /tmp/order.txt
  ORDER=$(sed -n 's/^[Ll]ocation: *\([^[:space:]]*\).*/\1/p' /tmp/order.txt)
  curl -d '{{"order_id":"'${{ORDER##*/}}'","status":"SUCCESS"}}' {url}/control/payments/settle
  curl -d '{{"mode":"succeed"}}' {url}/control/payments/mode

Make a peer misbehave, and see what it was asked ({url}/control tells all of it):
  curl -d '{{"call":"reserve","action":"lose_answer"}}' {url}/control/faults
  curl {url}/control/calls
"#
    )
}
