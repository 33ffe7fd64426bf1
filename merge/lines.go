package merge

import "bytes"

// lines is a text cut after each newline. The last may have none.
type lines struct {
	data  string
	start []int32 // where each begins, and the end of the last
	class []int32 // equal for equal lines
}

func (l lines) count() int { return len(l.class) }

// span is the text of n lines from first on.
func (l lines) span(first, n int) string { return l.data[l.start[first]:l.start[first+n]] }

// classes numbers lines so that equal ones have one number.
type classes map[string]int32

func (c classes) cut(data []byte) lines {
	n := bytes.Count(data, []byte{'\n'}) + 1
	l := lines{data: string(data), start: make([]int32, 1, n+1), class: make([]int32, 0, n)}
	for at := 0; at < len(data); {
		end := len(data)
		if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		line := l.data[at:end]
		id, ok := c[line]
		if !ok {
			id = int32(len(c))
			c[line] = id
		}
		l.class, l.start, at = append(l.class, id), append(l.start, int32(end)), end
	}
	return l
}
