// Package schemagen makes the JSON Schemas (draft 2020-12), the AsyncAPI document
// (3.0) and the codec of events from the Go types of module schemas, comments
// included, so that none can differ from them. It writes no file.
package schemagen

//go:generate go run ../cmd/schemagen ../../schemas

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"

	"github.com/goccy/go-yaml"

	"github.com/mailstream/mailstream/schemas"
)

// object is a JSON object whose members keep their order.
type object = yaml.MapSlice

func member(key string, value any) yaml.MapItem { return yaml.MapItem{Key: key, Value: value} }

// document is one schema file: the record type it describes.
type document struct {
	file, title, typ string
	// kinds is the pattern of the types of events that are none of an email; "" for
	// those of schemas.Types.
	kinds string
}

// webhookTopic is the name of the topics of events that are none of an email, and
// webhookKinds what they have in place of a type.
const (
	webhookTopic = "webhook.{source}.{name}"
	webhookKinds = `^webhook\.[a-z0-9][a-z0-9._-]*\.[a-z0-9][a-z0-9_-]*$`
)

func documents() []document {
	return []document{
		{"event.schema.json", "Mailstream event", "Event", ""},
		{"webhook.schema.json", "Mailstream event that is not about an email", "Event", webhookKinds},
		{"suppression.schema.json", "Mailstream suppression", "Suppression", ""},
		{"erasure.schema.json", "Mailstream erasure", "Erasure", ""},
		{"audit.schema.json", "Mailstream audit entry", "Audit", ""},
		{"alert.schema.json", "Mailstream alert", "Alert", ""},
		{"alert-control.schema.json", "Mailstream alert control", "AlertControl", ""},
		{"dead-letter.schema.json", "Mailstream dead letter", "DeadLetter", ""},
		{"operation.schema.json", "Mailstream operation", "Operation", ""},
		{"drift.schema.json", "Mailstream drift", "Drift", ""},
		{"rate.schema.json", "Mailstream rate", "Rate", ""},
	}
}

// Generate returns the files to write, by name.
func Generate(dir string) (map[string][]byte, error) {
	src, err := readSource(dir)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, d := range documents() {
		schema, err := src.document(d)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", d.file, err)
		}
		if files[d.file], err = orderedJSON(schema); err != nil {
			return nil, fmt.Errorf("write %s: %w", d.file, err)
		}
	}
	if files["asyncapi.yaml"], err = asyncAPI(); err != nil {
		return nil, err
	}
	files[codecFile], err = src.codecs()
	return files, err
}

func (s *source) document(d document) (object, error) {
	w := &writer{src: s, kinds: d.kinds, defs: map[string]object{}}
	root, err := w.record(d.typ)
	if err != nil {
		return nil, err
	}
	out := object{
		member("$schema", "https://json-schema.org/draft/2020-12/schema"),
		member("$id", "https://github.com/mailstream/mailstream/schemas/"+d.file),
		member("$comment", "Generated from the Go types. DO NOT EDIT: run make gen."),
		member("title", d.title),
	}
	out = append(out, root...)
	if len(w.order) > 0 {
		defs := object{}
		for _, name := range w.order {
			defs = append(defs, member(name, w.defs[name]))
		}
		out = append(out, member("$defs", defs))
	}
	return out, nil
}

// writer turns types into schemas and collects those that are referred to.
type writer struct {
	src   *source
	kinds string // in place of the known values of Type
	defs  map[string]object
	order []string
}

func (w *writer) record(name string) (object, error) {
	r := w.src.structs[name]
	properties, required := object{}, []string{}
	for _, f := range r.fields {
		schema, err := w.typ(f.typ)
		if err != nil {
			return nil, fmt.Errorf("field %s of %s: %w", f.name, name, err)
		}
		if f.doc != "" {
			schema = append(schema, member("description", f.doc))
		}
		properties = append(properties, member(f.name, schema))
		if !f.optional {
			required = append(required, f.name)
		}
	}
	return object{
		member("description", r.doc), member("type", "object"),
		member("required", required), member("properties", properties),
	}, nil
}

func (w *writer) typ(expr ast.Expr) (object, error) {
	switch t := expr.(type) {
	case *ast.StarExpr:
		return w.typ(t.X)
	case *ast.ArrayType:
		if id, ok := t.Elt.(*ast.Ident); ok && id.Name == "byte" {
			return object{member("type", "string"), member("contentEncoding", "base64")}, nil
		}
		items, err := w.typ(t.Elt)
		return object{member("type", "array"), member("items", items)}, err
	case *ast.MapType:
		values, err := w.typ(t.Value)
		return object{member("type", "object"), member("additionalProperties", values)}, err
	case *ast.SelectorExpr:
		if t.Sel.Name == "Time" {
			return object{member("type", "string"), member("format", "date-time")}, nil
		}
		return object{}, nil // json.RawMessage: any value
	case *ast.Ident:
		return w.named(t.Name)
	}
	return nil, fmt.Errorf("no schema for %T", expr)
}

func (w *writer) named(name string) (object, error) {
	switch name {
	case "string":
		return object{member("type", "string")}, nil
	case "bool":
		return object{member("type", "boolean")}, nil
	case "int", "int32", "int64":
		return object{member("type", "integer")}, nil
	case "float64":
		return object{member("type", "number")}, nil
	}
	if name == "Type" && w.kinds != "" {
		return object{member("type", "string"), member("pattern", w.kinds)}, nil
	}
	if values := w.src.enums[name]; values != nil {
		// Open: readers take a value they do not know for "other", and a validator
		// with an enumeration would refuse it.
		return object{member("type", "string"), member("examples", values[:1]), member("x-known-values", values)}, nil
	}
	if w.src.structs[name] == nil {
		return nil, fmt.Errorf("no type %s", name)
	}
	if _, ok := w.defs[name]; !ok {
		w.defs[name] = nil // a type may refer to itself
		w.order = append(w.order, name)
		def, err := w.record(name)
		if err != nil {
			return nil, err
		}
		w.defs[name] = def
	}
	return object{member("$ref", "#/$defs/"+name)}, nil
}

// orderedJSON is JSON with the members in the order given and two spaces of
// indentation.
func orderedJSON(v any) ([]byte, error) {
	var compact bytes.Buffer
	if err := appendJSON(&compact, v); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, compact.Bytes(), "", "  "); err != nil {
		return nil, err
	}
	return append(out.Bytes(), '\n'), nil
}

func appendJSON(b *bytes.Buffer, v any) error {
	members, ok := v.(object)
	if !ok {
		enc := json.NewEncoder(b)
		enc.SetEscapeHTML(false)
		return enc.Encode(v)
	}
	b.WriteByte('{')
	for i, m := range members {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, "%q:", m.Key)
		if err := appendJSON(b, m.Value); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

// topicDoc is one channel of the AsyncAPI document.
type topicDoc struct {
	topic, key, file, text string
}

func topicDocs() []topicDoc {
	const prefix = schemas.DefaultTopicPrefix
	const recordKey = "recipient_hash; the message id where there is no recipient; the event's id where it is about neither, such as a change of the account"
	var docs []topicDoc
	for _, t := range schemas.Types() {
		docs = append(docs, topicDoc{
			schemas.EventTopic(prefix, t), recordKey, "event.schema.json",
			"Events of type " + string(t) + ". All events of a recipient share a partition number across the event topics and stay in order.",
		})
	}
	return append(
		docs,
		topicDoc{webhookTopic, recordKey, "webhook.schema.json", "What a source of the provider generic sends that is not an event of an email, by the names in its configuration. The type is the name of the topic."},
		topicDoc{schemas.SuppressionsTopic(prefix), "recipient_hash", "suppression.schema.json", "Who must not be mailed, and why. Compacted: the last record of a key holds everything."},
		topicDoc{schemas.AlertsTopic(prefix), "fingerprint", "alert.schema.json", "The state of every alert. Compacted."},
		topicDoc{schemas.AlertControlsTopic(prefix), "silence/<id>, ack/<incident>, note/<incident>/<id> or incident/<incident>", "alert-control.schema.json", "Silences, acknowledgements and notes of people, and incidents that are over. Compacted."},
		topicDoc{schemas.ErasuresTopic(prefix), "recipient_hash", "erasure.schema.json", "Who has to be forgotten, without addresses. Compacted. Whoever keeps events of their own obeys it."},
		topicDoc{schemas.AuditTopic(prefix), "id", "audit.schema.json", "Who looked at whom and who changed what, without addresses. Kept for ever."},
		topicDoc{schemas.DeadLetterTopic(prefix), "id", "dead-letter.schema.json", "Items that could not be processed, with their bytes and the reason."},
		topicDoc{schemas.OperationsTopic(prefix), "id", "operation.schema.json", "Work on dead letters that a person asked for, and how far it is. Compacted."},
		topicDoc{schemas.DriftTopic(prefix), "<provider>/<kind>/<path>", "drift.schema.json", "What providers send that this version does not know, and when it was first seen. Compacted; of two records of a key the earlier time holds."},
		topicDoc{schemas.RatesTopic(prefix), "source and mailbox provider", "rate.schema.json", "Partial counts on their way to the evaluator. Internal to alerting: do not build on it."},
	)
}

func asyncAPI() ([]byte, error) {
	channels, operations := object{}, object{}
	for _, d := range topicDocs() {
		message := object{
			member("name", d.topic), member("contentType", schemas.ContentTypeJSON),
			member("payload", object{
				member("schemaFormat", "application/schema+json;version=draft-2020-12"),
				member("schema", object{member("$ref", "./"+d.file)}),
			}),
			member("bindings", object{member("kafka", object{
				member("key", object{member("type", "string"), member("description", d.key)}),
			})}),
		}
		if d.file == "event.schema.json" || d.topic == webhookTopic {
			message = append(message, member("headers", object{member("$ref", "#/components/schemas/headers")}))
		}
		channel := object{
			member("address", d.topic), member("description", d.text),
			member("messages", object{member("record", message)}),
		}
		if d.topic == webhookTopic {
			channel = append(channel, member("parameters", object{
				member("source", object{member("description", "the configured source")}),
				member("name", object{member("description", "what follows webhook: in its configuration")}),
			}))
		}
		channels = append(channels, member(d.topic, channel))
		operations = append(operations, member("read "+d.topic, object{
			member("action", "receive"),
			member("channel", object{member("$ref", "#/channels/"+d.topic)}),
		}))
	}
	out, err := yaml.MarshalWithOptions(object{
		member("asyncapi", "3.0.0"),
		member("info", object{
			member("title", "Mailstream topics"), member("version", "1.4.0"),
			member("description", "Events of email providers, by type, and what Mailstream makes of them. Generated from the Go types. DO NOT EDIT: run make gen. The prefix of the topics is configurable."),
			member("license", object{member("name", "Apache-2.0")}),
		}),
		member("defaultContentType", schemas.ContentTypeJSON),
		member("channels", channels),
		member("operations", operations),
		member("components", object{member("schemas", object{member("headers", headers())})}),
	}, yaml.Indent(2), yaml.IndentSequence(true))
	return out, err
}

// headers describes the CloudEvents headers of event records.
func headers() object {
	text := func(doc string) object {
		return object{member("type", "string"), member("description", doc)}
	}
	return object{
		member("type", "object"),
		member("required", []string{schemas.HeaderSpecVersion, schemas.HeaderID, schemas.HeaderSource, schemas.HeaderType, schemas.HeaderTime, schemas.HeaderContentType}),
		member("properties", object{
			member(schemas.HeaderSpecVersion, object{member("const", schemas.SpecVersion)}),
			member(schemas.HeaderID, text("the event's id")),
			member(schemas.HeaderSource, text("/mailstream/<source>")),
			member(schemas.HeaderType, text("email.<type>, webhook.<source>.<name>")),
			member(schemas.HeaderTime, text("the event's time, RFC 3339")),
			member(schemas.HeaderContentType, object{member("const", schemas.ContentTypeJSON)}),
			member(schemas.HeaderTraceparent, text("W3C trace context, when the webhook had one")),
			member(schemas.HeaderReplay, text("the operation that republished the record from history")),
			member(schemas.HeaderOrigin, object{member("enum", schemas.Origins()), member("description", "how the record came about; absent means live")}),
		}),
	}
}
