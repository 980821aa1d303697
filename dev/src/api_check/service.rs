//! The service under test: a database of its own, the sandbox with seats enough, and users whose orders go different ways.

use std::path::Path;

use anyhow::Result;
use base64::prelude::*;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::json;
use sha2::Sha256;

use crate::host::Host;
use crate::peers::{self, Control, Matching, Mode, Peers};
use crate::postgres::{self, Database, Server};
use crate::{component, migrations};

/// The event whose seats there are.
pub const EVENT: i64 = 107;
/// Its first seat.
pub const FIRST_SEAT: i64 = 100_000;
/// How many seats it has: so many that few requests ask for a seat that is taken.
pub const SEATS: i64 = 200_000;
/// Payment takes the first one's money at once, has not decided the second one's, and declines the third one's.
pub const USERS: [i64; 3] = [201, 202, 203];
/// The internal token.
pub const INTERNAL_TOKEN: &str = "the-internal-token";

/// The variable that switches authentication on.
const SECRET_VARIABLE: &str = "auth_jwt_secret";
const SECRET: &str = "a secret that is long enough for HS256 and for HS512, as sixty-four bytes are";

/// Whether callers need tokens.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Authentication {
    /// They need none.
    Off,
    /// They need one, and see their own orders only.
    On,
}

/// The running service. Dropping it ends all of it.
pub struct Service {
    /// `http://127.0.0.1:<port>`.
    pub base_url: String,
    _host: Host,
    peers: Peers,
    database: Database,
    server: Server,
}

impl Service {
    /// Starts it. Logs go to `folder`.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start(authentication: Authentication, folder: &Path) -> Result<Service> {
        Service::start_with(authentication, folder, async |_| Ok(Vec::new())).await
    }

    /// The same with more variables, for which the peers may be needed.
    ///
    /// # Errors
    /// When something does not start.
    pub async fn start_with(
        authentication: Authentication,
        folder: &Path,
        more: impl AsyncFnOnce(&Peers) -> Result<Vec<(&'static str, String)>>,
    ) -> Result<Service> {
        let server = Server::start(postgres::Options::for_tests()?).await?;
        let database = server.create_database("orders", None).await?;
        migrations::apply(&database).await?;
        let peers = Peers::start(peers::Options::default()).await?;
        let mut variables = database.spin_variables();
        variables.extend(peers.spin_variables());
        variables.push(("internal_token".to_owned(), INTERNAL_TOKEN.to_owned()));
        if authentication == Authentication::On {
            variables.push((SECRET_VARIABLE.to_owned(), SECRET.to_owned()));
        }
        variables.extend(more(&peers).await?.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let host = Host::start(component::host_program().await?, &variables, folder, None).await?;
        let control = peers.control();
        control.set_callback_url(Some(&format!("{}/v1/payments/callback", host.base_url))).await?;
        control.put_event(EVENT, "ON_SALE").await?;
        control.put_seat_range(EVENT, FIRST_SEAT, SEATS).await?;
        if authentication == Authentication::Off {
            for (user, mode) in USERS.into_iter().zip([Mode::Succeed, Mode::Pending, Mode::Decline]) {
                let only = Matching { user_id: Some(user), ..Matching::default() };
                control.payment_mode_for(only, mode).await?;
            }
        }
        Ok(Service { base_url: host.base_url.clone(), _host: host, peers, database, server })
    }

    /// The control endpoints of its peers.
    pub fn control(&self) -> Control {
        self.peers.control()
    }

    /// Its database.
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// What of the run shows that it was one: orders in each status that a valid request leads to. Without them every request may have
    /// been refused, which no check of an answer tells.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn missing_orders(&self, authentication: Authentication) -> Result<Vec<String>> {
        let wanted: &[&str] = match authentication {
            Authentication::Off => &["CONFIRMED", "PENDING", "FAILED"],
            // Whose payments succeed, both of them.
            Authentication::On => &["CONFIRMED"],
        };
        let client = self.database.connect().await?;
        let mut missing = Vec::new();
        for status in wanted {
            let sql = "SELECT count(*) FROM orders WHERE status = $1::text";
            let count: i64 = client.query_one(sql, &[status]).await?.get(0);
            if count == 0 {
                missing.push(format!("no order is {status}: valid requests were refused"));
            }
        }
        Ok(missing)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.server.stop_now();
        let _ = postgres::remove(self.server.data_dir());
    }
}

/// A token of this user, as the system's user service makes them, but for its algorithm (HS256), and without roles. It is valid until 2100.
///
/// # Errors
/// None that can happen: an HMAC takes keys of any length.
pub fn token_of(user: i64) -> Result<String> {
    let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!(
        "{}.{}",
        part(json!({ "alg": "HS256", "typ": "JWT" })),
        part(json!({ "sub": user.to_string(), "exp": 4_102_444_800_u64 }))
    );
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes())?;
    mac.update(signed.as_bytes());
    Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())))
}
