-- Renders an event as CloudEvents 1.0 has it in structured mode (JSON): the one with the number p_index, from 0, of a journal entry.
-- It is the same whenever it is rendered. p_source: the attribute `source`.
--
-- Returns JSON text.
-- Locks nothing. Commit: none is needed, it writes nothing.
CREATE OR REPLACE FUNCTION render_event(e order_events, o orders, p_index INT, p_source TEXT) RETURNS TEXT LANGUAGE plpgsql STABLE AS
$$
DECLARE
    event JSONB := e.events->p_index;
    -- Ten digits: the extension wants an order that holds for text, too.
    sequence TEXT := lpad((e.sequence + p_index)::text, 10, '0');
BEGIN
    RETURN concat(
        '{"specversion":"1.0","id":"', o.id, '.', sequence,
        '","source":', to_json(p_source),
        ',"type":"', event->>'type', '.v1","subject":"', o.id,
        '","time":"', format_time(e.at),
        '","datacontenttype":"application/json","partitionkey":"', o.id,
        '","sequence":"', sequence, '"',
        ',"traceparent":' || to_json(e.data->>'traceparent')::text,
        ',"data":', jsonb_strip_nulls(jsonb_build_object('order_id', o.id, 'user_id', o.user_id, 'event_id', o.event_id, 'currency', o.currency, 'seats', o.seats)
            || coalesce(event->'data', '{}')), '}');
END
$$;
