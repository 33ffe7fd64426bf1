package pull

import (
	"context"
	"errors"
	"io"
)

var errNotYet = errors.New("pull: not written yet")

// Undo takes back the last pull of a folder that is not taken back yet.
func (p *Puller) Undo(ctx context.Context, folder string) (Report, error) {
	return Report{}, errNotYet
}

// Backups lists what is kept for a folder, newest first.
func (p *Puller) Backups(folder string) ([]Backup, error) { return nil, errNotYet }

// Recover writes a file of a backup to a writer.
func (p *Puller) Recover(ctx context.Context, folder, id, file string, w io.Writer) error {
	return errNotYet
}

// Restore puts a file of a backup back into its folder; what stands there is
// backed up first.
func (p *Puller) Restore(ctx context.Context, folder, id, file string) (Report, error) {
	return Report{}, errNotYet
}

// Reset puts the source's version of a file, as last delivered, into the folder;
// what stands there is backed up first. The file is relative to the folder.
func (p *Puller) Reset(ctx context.Context, folder, file string) (Report, error) {
	return Report{}, errNotYet
}

// Upstream writes the source's version of a file, as last delivered.
func (p *Puller) Upstream(ctx context.Context, folder, file string, w io.Writer) error {
	return errNotYet
}

// State tells what is known of a folder, without changing anything; false if it
// was never pulled into.
func (p *Puller) State(folder string) (State, bool, error) { return State{}, false, errNotYet }

func (s *store) markUndone(id string) error {
	m, err := s.manifest(id)
	if err != nil {
		return ignoreMissing(err)
	}
	m.Undone = true
	return s.saveManifest(m)
}
