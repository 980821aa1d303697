SELECT stuck($1::int4)
