SELECT store_event_deliveries(p_sink => $1, p_outcomes => $2, p_takes => $3)
