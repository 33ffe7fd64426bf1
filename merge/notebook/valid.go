package notebook

import (
	"fmt"
	"strings"
)

// Valid says what is wrong with a notebook of format 4 by nbformat's schema, as far
// as cells go: their members, ids, types, tags and kinds of output. What mimebundles
// hold is not looked at. nil: nothing is wrong.
func Valid(data []byte) error {
	d, err := parse(data)
	if err != nil {
		return err
	}
	if len(d.raw) != len(data) {
		return fmt.Errorf("notebook: begins with a byte order mark")
	}
	seen := make(map[string]bool)
	for i, c := range d.cells {
		if err := c.valid(d.minor); err != nil {
			return fmt.Errorf("notebook: cell %d: %w", i, err)
		}
		if d.minor >= 5 && seen[c.id] {
			return fmt.Errorf("notebook: cell %d: its id %q stands twice", i, c.id)
		}
		seen[c.id] = true
	}
	return nil
}

func (c *cell) valid(minor int) error {
	code := c.typ == "code"
	switch {
	case c.meta == nil:
		return fmt.Errorf("no metadata")
	case code && (c.outputs == nil || c.count == nil), !code && (c.outputs != nil || c.count != nil):
		return fmt.Errorf("outputs and execution_count belong to code cells, and are demanded there")
	case code && string(c.count) != "null" && number(c.count) < 0:
		return fmt.Errorf("execution_count is no number")
	case code && c.attached != nil:
		return fmt.Errorf("attachments at a code cell")
	case minor >= 5 && !validID(c.id):
		return fmt.Errorf("no id, or one that nbformat refuses")
	case minor < 5 && c.named != nil:
		return fmt.Errorf("an id below format 4.5")
	}
	for _, m := range members(c.raw) {
		switch m.name {
		case "id", "cell_type", "source", "metadata", "outputs", "execution_count", "attachments":
		default:
			return fmt.Errorf("a member %q that the format does not know", m.name)
		}
	}
	seen := make(map[string]bool)
	for _, e := range elements(get(members(c.meta), "tags")) {
		tag, ok := str(e)
		if !ok || tag == "" || strings.Contains(tag, ",") || seen[tag] {
			return fmt.Errorf("a tag that is empty, has a comma or stands twice")
		}
		seen[tag] = true
	}
	for _, out := range elements(c.outputs) {
		switch kind, _ := str(get(members(out), "output_type")); kind {
		case "stream", "display_data", "execute_result", "error":
		default:
			return fmt.Errorf("an output of an unknown kind")
		}
	}
	return nil
}
