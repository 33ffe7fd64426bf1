package client

import (
	"context"

	"github.com/daypass-dev/daypass/api"
)

// linkTime is how long the answer about a link may take: its ground may have to be
// looked at anew.
const linkTime = endTime

// Link tells what a link brings, to somebody whom it is for. What it says is the
// service's word: whoever shows it or makes a path of it looks at it first.
func (c *Client) Link(ctx context.Context, name string) (api.Link, error) {
	if why := (api.SnapshotQuery{Link: name}).Check(); why != "" {
		return api.Link{}, unsendable(why)
	}
	var l api.Link
	if err := c.get(ctx, api.LinkPath(name), linkTime, &l); err != nil {
		return api.Link{}, err
	}
	if l.Name != name {
		return api.Link{}, c.strange("it is another link")
	}
	return l, nil
}
