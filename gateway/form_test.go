package gateway

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

const testForm = "multipart/form-data; boundary=b"

// TestForm: what two readers could read in two ways is refused.
func TestForm(t *testing.T) {
	part := func(header, value string) string { return "--b\r\n" + header + "\r\n\r\n" + value + "\r\n" }
	plain := func(name, value string) string { return part(`Content-Disposition: form-data; name="`+name+`"`, value) }
	file := func(name string) string {
		return part(`Content-Disposition: form-data; name="content"; filename="`+name+`"`+"\r\nContent-Type: application/octet-stream", "wheel")
	}
	const end = "--b--\r\n"
	start := plain(":action", "file_upload") + plain("name", "foo") + plain("version", "1.0")
	whole := start + file("foo-1.0.tar.gz") + end
	for name, c := range map[string]struct {
		kind, body string
		code       string // empty: taken
	}{
		"plain":                          {testForm, whole, ""},
		"quoted boundary":                {`multipart/form-data; boundary="b"`, whole, ""},
		"no line's end at its end":       {testForm, strings.TrimSuffix(whole, "\r\n"), ""},
		"an empty line before it":        {testForm, "\r\n" + whole, ""},
		"headers in lower case":          {testForm, strings.ReplaceAll(whole, "Content-Disposition", "content-disposition"), ""},
		"utf-8":                          {testForm, start + part("Content-Disposition: form-data; name=\"description\"\r\nContent-Type: text/plain; charset=UTF-8", "é") + file("foo-1.0.tar.gz") + end, ""},
		"8bit":                           {testForm, start + part("Content-Disposition: form-data; name=\"description\"\r\nContent-Transfer-Encoding: 8bit", "é") + file("foo-1.0.tar.gz") + end, ""},
		"a signature":                    {testForm, start + part(`Content-Disposition: form-data; name="gpg_signature"; filename="foo-1.0.tar.gz.asc"`, "sig") + file("foo-1.0.tar.gz") + end, ""},
		"classifiers":                    {testForm, start + plain("classifiers", "A") + plain("classifiers", "B") + file("foo-1.0.tar.gz") + end, ""},
		"empty values":                   {testForm, start + plain("summary", "") + plain("keywords", "") + file("foo-1.0.tar.gz") + end, ""},
		"submit":                         {testForm, plain(":action", "submit") + plain("name", "foo") + plain("version", "1.0") + end, ""},
		"documentation":                  {testForm, plain(":action", "doc_upload") + plain("name", "foo") + file("foo.zip") + end, ""},
		"two names":                      {testForm, start + plain("name", "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"the same name twice":            {testForm, start + plain("name", "foo") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"two versions":                   {testForm, start + plain("version", "2.0") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"two actions":                    {testForm, start + plain(":action", "submit") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"two platforms":                  {testForm, start + plain("platforms", "a") + plain("platforms", "b") + file("foo-1.0.tar.gz") + end, ""},
		"two kinds of file":              {testForm, start + plain("filetype", "sdist") + plain("filetype", "bdist_wheel") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a name in capitals":             {testForm, start + plain("NAME", "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"an action in capitals":          {testForm, start + plain(":Action", "submit") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"name behind the file":           {testForm, plain(":action", "file_upload") + file("foo-1.0.tar.gz") + plain("name", "foo") + end, "DP-973"},
		"action behind the file":         {testForm, plain("name", "foo") + file("foo-1.0.tar.gz") + plain(":action", "file_upload") + end, "DP-973"},
		"a field behind the file":        {testForm, start + file("foo-1.0.tar.gz") + plain("summary", "x") + end, "DP-973"},
		"another name behind the file":   {testForm, start + file("foo-1.0.tar.gz") + plain("name", "bar") + end, "DP-973"},
		"two files":                      {testForm, start + file("foo-1.0.tar.gz") + file("bar-1.0.tar.gz") + end, "DP-973"},
		"a file without a name":          {testForm, start + plain("content", "wheel") + end, "DP-973"},
		"a file under another name":      {testForm, start + part(`Content-Disposition: form-data; name="name"; filename="x"`, "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a file with an empty name":      {testForm, start + file("") + end, "DP-973"},
		"a file with a path":             {testForm, start + file("../foo-1.0.tar.gz") + end, "DP-973"},
		"a file with a backslash":        {testForm, start + file(`..\foo-1.0.tar.gz`) + end, "DP-973"},
		"a file called ..":               {testForm, start + file("..") + end, "DP-973"},
		"a file with a quote":            {testForm, start + file(`foo\"-1.0.tar.gz`) + end, "DP-973"},
		"a file not in ASCII":            {testForm, start + file("föö-1.0.tar.gz") + end, "DP-973"},
		"a file with a space at its end": {testForm, start + file("foo-1.0.tar.gz ") + end, "DP-973"},
		"name*":                          {testForm, start + part(`Content-Disposition: form-data; name="x"; name*=utf-8''name`, "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"name* alone":                    {testForm, start + part(`Content-Disposition: form-data; name*=utf-8''name`, "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"name*0":                         {testForm, start + part(`Content-Disposition: form-data; name*0="na"; name*1="me"`, "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"filename*":                      {testForm, start + part(`Content-Disposition: form-data; name="content"; filename="foo-1.0.tar.gz"; filename*=utf-8''bar-1.0.tar.gz`, "w") + end, "DP-973"},
		"two names in a header":          {testForm, start + part(`Content-Disposition: form-data; name="x"; name="name"`, "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"no name in a header":            {testForm, start + part(`Content-Disposition: form-data`, "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a name without quotes":          {testForm, start + part(`Content-Disposition: form-data; name=x`, "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a name with a percent":          {testForm, start + plain("na%6de", "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"an attachment":                  {testForm, start + part(`Content-Disposition: attachment; name="x"`, "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"two dispositions":               {testForm, start + part("Content-Disposition: form-data; name=\"x\"\r\nContent-Disposition: form-data; name=\"name\"", "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"no disposition":                 {testForm, start + part("Content-Type: text/plain", "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"base64":                         {testForm, start + part("Content-Disposition: form-data; name=\"x\"\r\nContent-Transfer-Encoding: base64", "YmFy") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"quoted-printable":               {testForm, start + part("Content-Disposition: form-data; name=\"x\"\r\nContent-Transfer-Encoding: Quoted-Printable", "b=61r") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a form within":                  {testForm, start + part("Content-Disposition: form-data; name=\"x\"\r\nContent-Type: multipart/mixed; boundary=c", "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"utf-16":                         {testForm, start + part("Content-Disposition: form-data; name=\"x\"\r\nContent-Type: text/plain; charset=utf-16", "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a length of its own":            {testForm, start + part("Content-Disposition: form-data; name=\"x\"\r\nContent-Length: 1", "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a folded header":                {testForm, start + part("Content-Disposition: form-data;\r\n name=\"x\"", "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a line that is no header":       {testForm, start + part("Content-Disposition: form-data; name=\"x\"\r\nnothing", "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a control character":            {testForm, start + part("Content-Disposition: form-data; name=\"x\"\tx", "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a lone newline in a header":     {testForm, start + part("Content-Disposition: form-data; name=\"x\"\nX: y", "bar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"many headers":                   {testForm, start + part("Content-Disposition: form-data; name=\"x\"\r\nA:\r\nB:\r\nC:\r\nD:\r\nE:\r\nF:\r\nG:\r\nH:\r\nI:", "bar") + end, "DP-973"},
		"a long header":                  {testForm, start + part("Content-Disposition: form-data; name=\"x\"\r\nA:"+strings.Repeat("x", 2<<10), "bar") + end, "DP-974"},
		"a field _charset_":              {testForm, start + plain("_charset_", "utf-7") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a field that is not UTF-8":      {testForm, start + plain("summary", "\xff") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a NUL":                          {testForm, start + plain("summary", "a\x00b") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a newline in the name":          {testForm, plain(":action", "file_upload") + plain("name", "foo\nbar") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"no name":                        {testForm, plain(":action", "file_upload") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a name that is none":            {testForm, plain(":action", "file_upload") + plain("name", "--") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"no action":                      {testForm, plain("name", "foo") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"another action":                 {testForm, plain(":action", "remove_pkg") + plain("name", "foo") + end, "DP-973"},
		"an action with a space":         {testForm, plain(":action", "submit ") + plain("name", "foo") + end, "DP-973"},
		"submit with a file":             {testForm, plain(":action", "submit") + plain("name", "foo") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"an upload without a file":       {testForm, start + end, "DP-973"},
		"a sum that is none":             {testForm, start + plain("sha256_digest", "abc") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a sum of something else":        {testForm, start + plain("sha256_digest", strings.Repeat("0", 64)) + file("foo-1.0.tar.gz") + end, "DP-976"},
		"two sums":                       {testForm, start + plain("sha256_digest", "") + plain("sha256_digest", strings.Repeat("0", 64)) + file("foo-1.0.tar.gz") + end, "DP-973"},
		"too long a field":               {testForm, start + plain("description", strings.Repeat("x", maxField+1)) + file("foo-1.0.tar.gz") + end, "DP-974"},
		"too long fields":                {testForm, start + strings.Repeat(plain("classifiers", strings.Repeat("x", 1<<20)), 5) + file("foo-1.0.tar.gz") + end, "DP-974"},
		"too many fields":                {testForm, start + strings.Repeat(plain("classifiers", "x"), maxFields) + file("foo-1.0.tar.gz") + end, "DP-974"},
		"something before it":            {testForm, "x\r\n" + whole, "DP-973"},
		"two empty lines before it":      {testForm, "\r\n\r\n" + whole, "DP-973"},
		"something behind it":            {testForm, whole + "x", "DP-973"},
		"another form behind it":         {testForm, whole + whole, "DP-973"},
		"newlines alone":                 {testForm, strings.ReplaceAll(whole, "\r\n", "\n"), "DP-973"},
		"a space behind a boundary":      {testForm, strings.Replace(whole, "--b\r\n", "--b \r\n", 2), "DP-973"},
		"a boundary in a value":          {testForm, start + plain("summary", "x\r\n--bx") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a value that is a boundary":     {testForm, start + plain("summary", "--b") + file("foo-1.0.tar.gz") + end, "DP-973"},
		"a part without its line's end":  {testForm, start + "--b\r\nContent-Disposition: form-data; name=\"summary\"\r\n\r\n" + file("foo-1.0.tar.gz") + end, "DP-973"},
		"another boundary":               {"multipart/form-data; boundary=c", whole, "DP-973"},
		"no boundary":                    {"multipart/form-data", whole, "DP-973"},
		"an empty boundary":              {`multipart/form-data; boundary=""`, whole, "DP-973"},
		"two boundaries":                 {"multipart/form-data; boundary=b; boundary=c", whole, "DP-973"},
		"boundary*":                      {"multipart/form-data; boundary=b; boundary*=utf-8''c", whole, "DP-973"},
		"boundary*0":                     {`multipart/form-data; boundary*0="b"`, whole, "DP-973"},
		"a charset":                      {"multipart/form-data; boundary=b; charset=utf-7", whole, "DP-973"},
		"a boundary with a space":        {`multipart/form-data; boundary="b "`, strings.ReplaceAll(whole, "--b", "--b "), "DP-973"},
		"a long boundary":                {"multipart/form-data; boundary=" + strings.Repeat("b", 71), strings.ReplaceAll(whole, "--b", "--"+strings.Repeat("b", 71)), "DP-973"},
		"a mixed one":                    {"multipart/mixed; boundary=b", whole, "DP-973"},
		"cut off in the file":            {testForm, whole[:len(whole)-12], "DP-977"},
		"cut off at the end":             {testForm, strings.TrimSuffix(whole, "--\r\n"), "DP-977"},
		"half of the end":                {testForm, strings.TrimSuffix(whole, "-\r\n"), "DP-977"},
		"cut off in a field":             {testForm, start[:len(start)-5], "DP-977"},
		"cut off in a header":            {testForm, start + "--b\r\nContent-Disp", "DP-977"},
		"nothing":                        {testForm, "", "DP-973"},
		"only an end":                    {testForm, end, "DP-973"},
	} {
		for _, length := range []int64{int64(len(c.body)), -1} {
			var slow io.Reader = strings.NewReader(c.body)
			if len(c.body) < 1<<16 {
				slow = iotest.OneByteReader(slow)
			}
			a, out, told, err := passed(request{content: c.kind, length: length}, slow, nil)
			if got := codeOf(err); got != c.code {
				t.Errorf("%s, %d bytes: %v, want %q", name, length, err, c.code)
			}
			if first, _, _ := strings.Cut(out, "\r\n"); err != nil && out != "" && strings.Contains(out, first+"--") {
				t.Errorf("%s: the end went upstream", name)
			}
			if err == nil && (told >= 0) != (length >= 0 || a.file == "") {
				t.Errorf("%s: %d bytes were told of %d", name, told, length)
			}
			if err == nil && told >= 0 && told != int64(len(out)) {
				t.Errorf("%s: %d bytes were told, %d written", name, told, len(out))
			}
		}
	}
}

func codeOf(err error) string {
	var f *fault
	if errors.As(err, &f) {
		return f.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// passed sends an upload through, as the handler does, and returns what would
// reach devpi.
func passed(r request, body io.Reader, pins []string) (a action, out string, told int64, err error) {
	a, p, err := action{name: "upload", body: bodyForm}.open(r, body, rand.Reader)
	if err != nil {
		return a, "", 0, err
	}
	if pins != nil {
		if err := p.pin(pins); err != nil {
			return a, "", 0, err
		}
	}
	var b bytes.Buffer
	_, err = io.Copy(&b, p)
	if f := p.fault(); f != nil && err == nil || f == nil && err != nil {
		return a, b.String(), p.length, errors.New("the payload's fault and its error differ")
	}
	if err == nil {
		if _, err := readBack(p.kind, b.String()); err != nil {
			return a, b.String(), p.length, err
		}
	}
	return a, b.String(), p.length, err
}

// readBack reads a form with mime/multipart, in the order of its parts.
func readBack(kind, body string) ([]field, error) {
	_, params, err := mime.ParseMediaType(kind)
	if err != nil {
		return nil, err
	}
	r := multipart.NewReader(strings.NewReader(body), params["boundary"])
	var out []field
	for {
		p, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		value, err := io.ReadAll(p)
		if err != nil {
			return nil, err
		}
		name := p.FormName()
		if p.FileName() != "" {
			name += " " + p.FileName()
		}
		out = append(out, field{name, string(value)})
	}
}

// TestFormWrittenAgain: devpi gets the fields in their order and every byte of
// the file, and nothing of the client's own framing.
func TestFormWrittenAgain(t *testing.T) {
	big := make([]byte, 300<<10)
	rand.Read(big)
	for _, file := range []string{"", "x", "\r\n", "\r\n--", "\r\n--a\r\n", "--a--\r\n", strings.Repeat("\r\n-", 50000), string(big)} {
		body := formBody("name", "foo", ":action", "file_upload", "classifiers", "B", "classifiers", "A", "description", "one\r\ntwo\n--b\r\n\r\n", "content foo-1.0.tar.gz", file)
		_, out, _, err := passed(request{content: testForm, length: int64(len(body))}, strings.NewReader(body), nil)
		if err != nil {
			t.Errorf("%d bytes: %v", len(file), err)
			continue
		}
		first, _, _ := strings.Cut(out, "\r\n")
		got, err := readBack("multipart/form-data; boundary="+first[2:], out)
		want, _ := readBack(testForm, body)
		if err != nil || !slices.Equal(got, want) || len(want) != 6 || want[5].value != file {
			t.Errorf("%d bytes: %v, %d parts of %d", len(file), err, len(got), len(want))
		}
		if len(first) != 2+48 {
			t.Errorf("the boundary is %q", first)
		}
	}
}

// TestPin: the end of a form waits for the sum of its file.
func TestPin(t *testing.T) {
	sum := func(s string) string {
		x := sha256.Sum256([]byte(s))
		return hex.EncodeToString(x[:])
	}
	for _, c := range []struct {
		file, field string
		pins        []string
		code        string
	}{
		{"wheel", "", nil, ""},
		{"wheel", sum("wheel"), nil, ""},
		{"wheel", strings.ToUpper(sum("wheel")), nil, ""},
		{"wheel", "", []string{"sha256:" + sum("wheel")}, ""},
		{"wheel", "", []string{"sha256:" + sum("x"), "sha256:" + sum("wheel")}, ""},
		{"wheel", sum("wheel"), []string{"sha256:" + sum("wheel")}, ""},
		{"wheel", sum("x"), nil, "DP-976"},
		{"wheel", "", []string{"sha256:" + sum("x")}, "DP-976"},
		{"wheel", "", []string{}, "DP-976"},
		{"wheel", sum("wheel"), []string{"sha256:" + sum("x")}, "DP-976"},
		{"wheel", sum("x"), []string{"sha256:" + sum("wheel")}, "DP-976"},
		{"", "", []string{"sha256:" + sum("")}, ""},
		{strings.Repeat("x", 200<<10), "", []string{"sha256:" + sum(strings.Repeat("x", 200<<10))}, ""},
		{strings.Repeat("x", 200<<10) + "y", "", []string{"sha256:" + sum(strings.Repeat("x", 200<<10))}, "DP-976"},
	} {
		fields := []string{"name", "foo", ":action", "file_upload"}
		if c.field != "" {
			fields = append(fields, "sha256_digest", c.field)
		}
		body := formBody(append(fields, "content foo-1.0.tar.gz", c.file)...)
		_, out, _, err := passed(request{content: testForm, length: int64(len(body))}, strings.NewReader(body), c.pins)
		if got := codeOf(err); got != c.code {
			t.Errorf("%.10q with %q and %q: %v, want %q", c.file, c.field, c.pins, err, c.code)
		}
		if first, _, _ := strings.Cut(out, "\r\n"); c.code != "" && first != "" && strings.Contains(out[len(first):], first+"--") {
			t.Errorf("%.10q with %q and %q: the end went upstream", c.file, c.field, c.pins)
		}
	}
}

// TestUploadFails: a connection that ends is told from a file that does.
func TestUploadFails(t *testing.T) {
	body := formBody("name", "foo", ":action", "file_upload", "content foo-1.0.tar.gz", strings.Repeat("x", 100<<10))
	for _, at := range []int{1, 50, 200, 50 << 10, len(body) - 8, len(body) - 2, len(body)} {
		broken := io.MultiReader(strings.NewReader(body[:at]), iotest.ErrReader(io.ErrUnexpectedEOF))
		_, out, _, err := passed(request{content: testForm, length: int64(len(body))}, broken, nil)
		if code := codeOf(err); code != "DP-977" && code != "DP-973" {
			t.Errorf("cut at %d: %v", at, err)
		}
		if first, _, _ := strings.Cut(out, "\r\n"); out != "" && strings.Contains(out, first+"--") {
			t.Errorf("cut at %d: the end went upstream", at)
		}
	}
	if _, _, err := (action{body: bodyForm}).open(request{content: testForm, length: int64(len(body))}, strings.NewReader(body), iotest.ErrReader(io.ErrUnexpectedEOF)); err == nil {
		t.Error("a boundary was made without randomness")
	}
}

// TestBodies: kinds of body that are none of a form.
func TestBodies(t *testing.T) {
	for _, c := range []struct {
		name   string
		kind   bodyKind
		media  string
		body   string
		length int64
		status int
		sent   string
	}{
		{"none", bodyNone, "", "", 0, 0, ""},
		{"none, but one", bodyNone, "", "x", 1, 400, ""},
		{"none, as devpi's client writes it", bodyNone, "application/json", "{}", 2, 0, ""},
		{"none, but a list", bodyNone, "application/json", "[]", 2, 400, ""},
		{"none, but one of unknown length", bodyNone, "", "", -1, 400, ""},
		{"ignored", bodyIgnore, "", "x", 1, 0, ""},
		{"ignored, but large", bodyIgnore, "", strings.Repeat("x", maxSearch+1), -1, 413, ""},
		{"a search", bodySearch, "text/xml", "<?xml version='1.0'?>", 21, 0, "<?xml version='1.0'?>"},
		{"a push that says it is a search", bodySearch, "text/xml", `{"name":"x"}`, 12, 400, ""},
		{"a push in another alphabet", bodySearch, "text/xml", "+AHs-", 5, 400, ""},
		{"a search of nothing", bodySearch, "text/xml", "", 0, 400, ""},
		{"a long search", bodySearch, "text/xml", "<" + strings.Repeat("x", maxSearch), -1, 413, ""},
		{"a short search", bodySearch, "text/xml", "<a>", 7, 400, ""},
		{"results", bodyResult, "application/json", `{"a":1}`, 7, 0, `{"a":1}`},
		{"large results", bodyResult, "application/json", "", maxResult + 1, 413, ""},
		{"a change that is no JSON", bodyChange, "text/plain", `{}`, 2, 415, ""},
		{"a change too large", bodyChange, "application/json", `{"a":"` + strings.Repeat("x", maxJSON) + `"}`, -1, 413, ""},
	} {
		_, p, err := action{body: c.kind}.open(request{media: c.media, length: c.length}, strings.NewReader(c.body), rand.Reader)
		var f *fault
		if errors.As(err, &f); (f == nil) != (c.status == 0) || f != nil && f.status != c.status {
			t.Errorf("%s: %v, want %d", c.name, err, c.status)
			continue
		}
		if err == nil && p != nil {
			sent, err := io.ReadAll(p)
			if err != nil || string(sent) != c.sent || p.length != int64(len(sent)) {
				t.Errorf("%s: %q, %v, %d bytes told", c.name, sent, err, p.length)
			}
		} else if err == nil && c.sent != "" {
			t.Errorf("%s: nothing is sent", c.name)
		}
	}
	endless := &payload{from: &capped{from: strings.NewReader("xxxx"), left: 3}}
	if _, err := io.ReadAll(endless); codeOf(err) != "DP-974" || endless.fault() == nil {
		t.Errorf("results without an end: %v", err)
	}
}
