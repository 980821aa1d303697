SELECT 1 FROM work_flush($1::jsonb)
