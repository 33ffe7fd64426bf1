package server

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/daypass-dev/daypass"
)

// Metrics is what the service counts. Every label has few values, all of them
// known beforehand: no person, no repository and no address is one.
type Metrics struct {
	registry    *prometheus.Registry
	requests    *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	limited     *prometheus.CounterVec
	panics      prometheus.Counter
	roamed      prometheus.Counter
	credentials *prometheus.CounterVec
	refusals    *prometheus.CounterVec
	upstream    *prometheus.HistogramVec
	connections *prometheus.GaugeVec
	up          *prometheus.GaugeVec
	commits     prometheus.Histogram
	todo        prometheus.Gauge
	reads       *prometheus.CounterVec
	kept        *prometheus.GaugeVec
	hosts       map[string]bool
}

// NewMetrics makes a set with a registry of its own. hosts are the hosts that
// may be a label; any other is counted as "other".
func NewMetrics(hosts []string) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), hosts: map[string]bool{"hub": true}}
	for _, h := range hosts {
		m.hosts[h] = true
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "daypass_" + name, Help: help}, labels)
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "daypass_" + name, Help: help}, labels)
	}
	histogram := func(name, help string, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "daypass_" + name, Help: help, Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, labels)
	}
	m.requests = counter("requests_total", "Requests by route and HTTP status.", "route", "status")
	m.seconds = histogram("request_seconds", "How long a request took, by route.", "route")
	m.limited = counter("limited_total", "Requests that were sent away because there were too many.", "limit")
	m.panics = prometheus.NewCounter(prometheus.CounterOpts{Name: "daypass_panics_total", Help: "Requests that ended in a mistake of the program."})
	m.roamed = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "daypass_tokens_from_many_addresses_total", Help: "Tokens of the hub that were seen from more addresses within an hour than one server has.",
	})
	m.credentials = counter("credentials_total", "Credentials that were given out.", "access", "as")
	m.refusals = counter("refusals_total", "Answers of no, by the code of the message.", "code")
	m.upstream = histogram("upstream_seconds", "How long a host or the hub took to answer.", "host", "outcome")
	m.connections = gauge("connections", "Connections by host and state.", "host", "state")
	m.up = gauge("up", "1 where a host or the hub answers, 0 where it does not.", "host")
	m.commits = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "daypass_commit_seconds", Help: "How long the store took to make events durable.", Buckets: prometheus.DefBuckets})
	m.todo = prometheus.NewGauge(prometheus.GaugeOpts{Name: "daypass_revocation_delay_seconds", Help: "For how long the oldest revocation that is due has waited."})
	m.reads = counter("reads_total", "Answers to who wanted to read content, by its kind and as whom it is read.", "kind", "as", "outcome")
	m.kept = gauge("snapshots", "What is kept of content: snapshots, and their bytes.", "of")
	m.registry.MustRegister(m.reads, m.kept, m.requests, m.seconds, m.limited, m.panics, m.roamed, m.credentials, m.refusals, m.upstream, m.connections, m.up, m.commits, m.todo,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the text that Prometheus reads.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4, Timeout: 10 * time.Second})
}

func (m *Metrics) request(route string, status int, took time.Duration) {
	m.requests.WithLabelValues(route, statusText(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

func statusText(status int) string {
	switch status {
	case 0, http.StatusOK:
		return "200"
	}
	return strconv.Itoa(status)
}

func (m *Metrics) credential(access, as string) { m.credentials.WithLabelValues(access, as).Inc() }

func (m *Metrics) refused(code string) { m.refusals.WithLabelValues(code).Inc() }

func (m *Metrics) host(host string) string {
	if m.hosts[host] {
		return host
	}
	return "other"
}

// Upstream notes one question to a host, or to "hub". outcome is "ok",
// "refused", "limited" or "failed".
func (m *Metrics) Upstream(host, outcome string, took time.Duration) {
	switch outcome {
	case "ok", "refused", "limited", "failed":
	default:
		outcome = "other"
	}
	m.upstream.WithLabelValues(m.host(host), outcome).Observe(took.Seconds())
}

// Up notes whether a host, or "hub", is taken to answer.
func (m *Metrics) Up(host string, up bool) {
	v := 0.0
	if up {
		v = 1
	}
	m.up.WithLabelValues(m.host(host)).Set(v)
}

// Connections notes how many connections to a host are in a state: "live",
// "needs-consent" or "restored".
func (m *Metrics) Connections(host, state string, n int) {
	switch state {
	case "live", "needs-consent", "restored":
	default:
		state = "other"
	}
	m.connections.WithLabelValues(m.host(host), state).Set(float64(n))
}

// Read notes an answer to somebody who wants to read content. as is "hub", "user",
// "public" or "", outcome "ok", "refused" or "failed".
func (m *Metrics) Read(kind, as, outcome string) {
	switch kind {
	case daypass.KindGit, daypass.KindDrive, daypass.KindCanvas, daypass.KindInvenio, daypass.KindFigshare, daypass.KindDataverse, daypass.KindSWH,
		daypass.KindHydroShare, daypass.KindCKAN, daypass.KindArtifact, daypass.KindWebDAV, daypass.KindDOI:
	default:
		kind = "other"
	}
	m.reads.WithLabelValues(kind, as, outcome).Inc()
}

// Snapshots notes what is kept of content.
func (m *Metrics) Snapshots(bytes int64, n int) {
	m.kept.WithLabelValues("bytes").Set(float64(bytes))
	m.kept.WithLabelValues("snapshots").Set(float64(n))
}

// Commit notes one commit of the store.
func (m *Metrics) Commit(took time.Duration) { m.commits.Observe(took.Seconds()) }

// RevocationDelay notes for how long the oldest due revocation has waited.
func (m *Metrics) RevocationDelay(d time.Duration) { m.todo.Set(max(d, 0).Seconds()) }
