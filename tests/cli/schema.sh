# create --schema, schema: set, shown, refused, removed; import of rows that do not fit.
. "$HERE/lib.sh"
echo '{"fields": {"year": "int", "mail": {"type": "string", "unique": true}}, "closed": true}' > rules.json
try hither create a.hither people --dim 2 --schema rules.json
try hither create a.hither plain --dim 2
try hither schema a.hither people
try hither schema a.hither plain
try hither info a.hither people --json
try hither info a.hither people
printf '%s\n' '{"id": 1, "vector": [1, 2], "year": 1990, "mail": "a"}' '{"id": 2, "vector": [1, 2], "mail": "b"}' > good.jsonl
printf '%s\n' '{"id": 3, "vector": [1, 2], "year": 1990.5}' > bad_type.jsonl
printf '%s\n' '{"id": 3, "vector": [1, 2], "mail": "b"}' > bad_value.jsonl
printf '%s\n' '{"id": 3, "vector": [1, 2], "colour": "b"}' > bad_key.jsonl
for file in good bad_type bad_value bad_key; do
    try hither import a.hither people $file.jsonl
done
try hither import a.hither plain good.jsonl
try hither schema a.hither plain '{"fields": {"year": {"type": "int", "required": true}}}'
try hither schema a.hither plain '{"fields": {"year": "text"}}'
try hither schema a.hither plain '{"fields": '
try hither schema a.hither plain missing.json
try hither schema a.hither plain - < rules.json
try hither import a.hither plain bad_value.jsonl
try hither schema a.hither plain none
try hither import a.hither plain bad_value.jsonl
try hither create new.hither c --dim 2 --schema '{"fields": {"a": "text"}}'
test -e new.hither || echo "nothing was made"
