package pull

import "github.com/daypass-dev/daypass/internal/clone"

// Origin is where a clone fetches from that no pull of ours was made into yet, such
// as nbgitpuller's; "" where that cannot be told, or holds a password. It reads only.
func Origin(folder string) string {
	c, err := clone.Open(folder)
	if err != nil {
		return ""
	}
	defer c.Close()
	url, ok, err := c.Origin()
	if err != nil || !ok {
		return ""
	}
	if url, err = clean(url); err != nil {
		return ""
	}
	return url
}
