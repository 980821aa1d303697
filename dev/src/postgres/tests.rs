use super::*;

#[tokio::test]
async fn serves_databases_and_survives_a_crash() -> Result<()> {
    let mut server = Server::start(Options::for_tests()?).await?;
    let first = server.create_database("first", None).await?;
    first.connect().await?.batch_execute("CREATE TABLE t (x int); INSERT INTO t VALUES (7)").await?;
    assert!(!first.create_if_missing().await?);
    // A new connection may be closed a moment after its client; making a copy waits for that by itself.
    let copy = server.create_database("copy \"of\" first", Some("first")).await?;
    let held = copy.connect().await?;

    server.stop_immediately().await;
    assert!(held.query_one("SELECT x FROM t", &[]).await.is_err());
    server.start_again().await?;
    let row = copy.connect().await?.query_one("SELECT x FROM t", &[]).await?;
    assert_eq!(row.get::<_, i32>(0), 7);

    server.drop_database(&copy.name).await?;
    assert!(copy.connect().await.is_err());
    let data_dir = server.data_dir().to_path_buf();
    server.stop().await;
    remove(&data_dir)
}

#[tokio::test]
async fn starts_again_after_kill_dash_nine_and_with_a_stale_pid_file() -> Result<()> {
    let mut server = Server::start(Options::for_tests()?).await?;
    let child = server.child.as_mut().unwrap();
    process::signal(child, libc::SIGKILL);
    child.wait()?;
    let pid_file = server.data_dir().join("postmaster.pid");
    // Worse: the process id in it was given to somebody else since.
    let text = std::fs::read_to_string(&pid_file)?;
    let (_, rest) = text.split_once('\n').unwrap();
    std::fs::write(&pid_file, format!("{}\n{rest}", std::process::id()))?;
    server.start_again().await?;
    assert!(server.database("postgres").connect().await.is_ok());
    let data_dir = server.data_dir().to_path_buf();
    drop(server);
    remove(&data_dir)
}

#[tokio::test]
async fn data_of_another_version_is_a_clear_error() -> Result<()> {
    let options = Options::for_tests()?;
    std::fs::create_dir_all(&options.data_dir)?;
    std::fs::write(options.data_dir.join("PG_VERSION"), "9\n")?;
    let error = Server::start(options.clone()).await.err().unwrap().to_string();
    assert!(error.contains("made by PostgreSQL 9"), "{error}");
    remove(&options.data_dir)
}

/// Root runs PostgreSQL as another user, who cannot get into root's own folders.
#[tokio::test]
async fn data_out_of_reach_of_the_user_who_runs_it_goes_elsewhere() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let options = Options::for_tests()?;
    let private = options.data_dir.clone();
    std::fs::create_dir_all(&private)?;
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o700))?;
    let wished = private.join("deeper/data");
    let place = place_of(&wished)?;
    assert_eq!(place, place_of(&wished)?);
    assert_eq!(place.starts_with("/var/tmp"), programs::unprivileged_user()?.is_some());
    let server = Server::start(Options { data_dir: wished.clone(), ..options }).await?;
    assert_eq!(server.data_dir(), place);
    server.stop().await;
    remove(&wished)?;
    assert!(!place.exists());
    remove(&private)
}
