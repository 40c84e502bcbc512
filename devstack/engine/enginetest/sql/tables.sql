-- What a template holds; the rows of a view are not known, so null.
SELECT name, create_table_query, total_rows
FROM system.tables
WHERE database = '{{database}}'
ORDER BY name
FORMAT JSONEachRow
SETTINGS output_format_json_quote_64bit_integers = 0
