package api

// PathSources is what the caller may choose from for a link of theirs: GET -> Offers.
const PathSources = Base + "/sources"

// Offers are what there is to choose from, by host.
type Offers struct {
	Offers []Offer `json:"offers"`
}

// An Offer is what there is at one host: of Drive what an admin enrolled for a group of
// the caller's, at a Canvas site the courses that they teach, at a host of git the
// repositories that they administer, each as their own connection shows it.
type Offer struct {
	Kind    string          `json:"kind"` // "drive", "canvas" or "git"
	Host    string          `json:"host"`
	Sources []OfferedSource `json:"sources"`
	More    bool            `json:"more,omitempty"`    // there is more than that, or may be
	Connect string          `json:"connect,omitempty"` // a page: the caller has to connect the host first; absolute
	// Why, Next and Code say why nothing is listed, and what to do.
	Why  string `json:"why,omitempty"`
	Next string `json:"next,omitempty"`
	Code string `json:"code,omitempty"`
}

// An OfferedSource is one of them.
type OfferedSource struct {
	Source string `json:"source"` // as the service writes it
	Words  string `json:"words"`  // for people
	Note   string `json:"note,omitempty"`
}
