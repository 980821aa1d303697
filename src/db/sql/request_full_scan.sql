SELECT request_full_scan()
