-- Applies the table file :step, if it is missing.
SELECT :'step' <> ALL (string_to_array(:'known', ' ')) AS is_missing \gset
\if :is_missing
\set file '../' :step '.sql'
BEGIN;
\ir :file
COMMIT;
\set applied :applied ' ' :step
\endif
