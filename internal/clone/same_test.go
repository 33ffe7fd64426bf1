package clone

import "testing"

func TestSameRepository(t *testing.T) {
	for _, test := range []struct {
		a, b string
		want bool
	}{
		{"https://github.com/octo/data", "https://github.com/octo/data", true},
		{"https://github.com/octo/data", "https://github.com/octo/data.git", true},
		{"https://github.com/octo/data", "https://github.com/octo/data/", true},
		{"https://github.com/octo/data", "https://github.com/octo/data.git/", true},
		{"https://github.com/octo/data", "https://github.com//octo//data", true},
		{"https://github.com/octo/data", "http://github.com/octo/data", true},
		{"https://github.com/octo/data", "https://GitHub.com/octo/data", true},
		{"https://github.com/octo/data", "https://github.com/Octo/DATA", true},
		{"https://github.com/octo/data", "https://www.github.com/octo/data", true},
		{"https://github.com/octo/data", "https://github.com:443/octo/data", true},
		{"https://github.com/octo/data", "https://ann@github.com/octo/data", true},
		{"https://github.com/octo/data", "git@github.com:octo/data.git", true},
		{"https://github.com/octo/data", "git@github.com:/octo/data.git", true},
		{"https://github.com/octo/data", "github.com:octo/data", true},
		{"https://github.com/octo/data", "ssh://git@github.com/octo/data", true},
		{"https://github.com/octo/data", "ssh://git@github.com:22/octo/data", true},
		{"https://github.com/octo/data", "ssh://git@ssh.github.com:443/octo/data.git", true},
		{"https://github.com/octo/data", "git+ssh://git@github.com/octo/data", true},
		{"https://github.com/octo/data", "git://github.com/octo/data", true},
		{"https://github.com/octo/data", "https://github.com/octo/dat%61", true},
		{"https://github.com/octo/data", "https://github.com./octo/data", true},
		{"https://github.com/octo/data", "https://github.com/octo/data2", false},
		{"https://github.com/octo/data", "https://github.com/other/data", false},
		{"https://github.com/octo/data", "https://github.com.evil.example/octo/data", false},
		{"https://github.com/octo/data", "https://gitlab.com/octo/data", false},
		{"https://github.com/octo/data", "https://github.com@evil.example/octo/data", false},
		{"https://github.com/octo/data", "https://evil.example/github.com/octo/data", false},
		{"https://github.com/octo/data", "https://github.com:8443/octo/data", false},
		{"https://github.com/octo/data", "https://github.com/octo/data/../other", false},
		{"https://github.com/octo/data", "https://github.com/octo/data%2fx", false},
		{"https://github.com/octo/data.git.git", "https://github.com/octo/data", false},
		{"https://gitlab.example/Group/Sub/p", "git@gitlab.example:Group/Sub/p.git", true},
		{"https://gitlab.example/Group/Sub/p", "https://gitlab.example/group/Sub/p", false},
		{"https://gitlab.example:8443/g/p", "https://gitlab.example/g/p", false},
		{"https://gitlab.example:8443/g/p", "ssh://git@gitlab.example:2222/g/p", false},
		{"https://gitlab.example/g/p", "ssh://git@gitlab.example:2222/g/p", true},
		{"http://127.0.0.1:80/g/p", "http://127.0.0.1/g/p.git", true},
		{"http://127.0.0.1:8001/g/p", "http://127.0.0.1:8002/g/p", false},
		{"https://[::1]/g/p", "https://[::1]:443/g/p", true},
		{"https://[::1]:9/g/p", "https://[::1]:8/g/p", false},
		{"https://[2001:DB8::1]/g/p", "git@[2001:db8::1]:g/p", true},
		{"ssh://git@host.example:2222/g/p", "[git@host.example:2222]:g/p", true},
		{"ssh://git@host.example:2222/g/p", "git@[host.example:2222]:g/p", true},
		{"/srv/git/a", "/srv/git/a.git", true},
		{"/srv/git/a", "/srv/git/a/", true},
		{"/srv/git/a", "/srv/git/a/.git", true},
		{"/srv/git/a", "file:///srv/git/a", true},
		{"/srv/git/a", "file://localhost/srv/git/a", true},
		{"/srv/git/a b", "file:///srv/git/a%20b", true},
		{"/srv/git/a", "/srv/git/A", false},
		{"/srv/git/a", "srv/git/a", false},
		{"/srv/git/a", "./a", false},
		{"./a", "a", true},
		{"/a:b", "/a:b.git", true},
		{"./a:b", "a:b", false},
		{"", "", false},
		{"https://", "https://", false},
		{"ext::sh -c id", "https://ext/sh", false},
		{"https://a/b\n", "https://a/b\n", false},
		{"weird://host/x", "weird://host/x", false},
		{"https://host/%zz", "https://host/%zz", false},
	} {
		if got := SameRepository(test.a, test.b); got != test.want {
			t.Errorf("%q, %q: %t", test.a, test.b, got)
		}
		if SameRepository(test.a, test.b) != SameRepository(test.b, test.a) {
			t.Errorf("%q, %q: not the same both ways", test.a, test.b)
		}
	}
}

func TestHoldsSecret(t *testing.T) {
	for address, want := range map[string]bool{
		"https://github.com/octo/data":                                    false,
		"https://ann@github.com/octo/data":                                false,
		"ssh://git@github.com/octo/data":                                  false,
		"git@github.com:octo/data":                                        false,
		"/srv/git/a@b:c":                                                  false,
		"file:///srv/git/a":                                               false,
		"https://ann:@github.com/octo/data":                               false,
		"https://ann:hunter2@github.com/octo/data":                        true,
		"https://ghp_0123456789abcdefghij@github.com/octo/data":           true,
		"https://github_pat_11AAAAA0123456789@github.com/octo/data":       true,
		"https://oauth2:glpat-abcdefghijk@gitlab.com/g/p":                 true,
		"https://x-access-token@github.com/octo/data":                     true,
		"https://0123456789abcdef0123456789abcdef01234567@github.com/o/d": true,
		"https://ann%3Ahunter2@github.com/octo/data":                      true,
		"https://host/x?private_token=abc":                                true,
		"https://host/x.git?access_token=abc&y=1":                         true,
		"https://host/x.git?page=1":                                       false,
		"ssh://git:pw@host/x":                                             true,
		"https://a@b:c@host/x":                                            true,
		"https://host/ghp_0123456789abcdefghij/x":                         true,
		"ghp_0123456789abcdefghij@github.com:octo/data":                   true,
		"x:ghp_0123456789abcdefghij@github.com:octo/data":                 true,
		"u:hunter2@host/org/x":                                            true,
		"ghp_0123456789abcdefghij@github.com/octo/data":                   true,
		"https:/u:hunter2@host/org/x":                                     true,
		"git@host:octo/data?private_token=abc":                            true,
		"https://host/x#token=abc":                                        true,
		"host:octo/data":                                                  false,
	} {
		if got := HoldsSecret(address); got != want {
			t.Errorf("%s: %t", address, got)
		}
	}
}
