SELECT require_writable_server()
