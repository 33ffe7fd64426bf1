package gateway

// classify finds what a request is about. A path that is none of devpi's is
// unknown.
func classify(r request) action { return action{} }
