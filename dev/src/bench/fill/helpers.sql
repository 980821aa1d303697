-- What the statements of the fill share. Gone when it is done.
CREATE SCHEMA bench;

-- A UUID of version 7: the time in milliseconds, and then what the seed makes.
CREATE FUNCTION bench.uuid(at TIMESTAMP, seed TEXT) RETURNS UUID LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$
    SELECT (lpad(to_hex((date_part('epoch', at) * 1000)::bigint), 12, '0')
            || overlay(overlay(right(md5(seed), 20) PLACING '7' FROM 1) PLACING '8' FROM 5))::uuid
$$;
