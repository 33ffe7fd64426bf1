package main

import (
	"os/exec"
	"slices"
	"time"

	"github.com/daypass-dev/daypass"
	"github.com/daypass-dev/daypass/internal/benchsite"
	"github.com/daypass-dev/daypass/internal/measure"
)

// gitSite is a service that reads a repository of the origin's without a credential.
func gitSite(b *bench, s *measure.Stage, people int, whole bool) (*site, *origin) {
	o := startOrigin(s, whole)
	source := daypass.Source{Kind: daypass.KindGit, Host: o.host(), ID: "lab/course"}
	return newSite(b, s, people, source, "public", "sources:\n  dial: [127.0.0.1/32]\n  hosts: [\""+o.host()+"\"]\n"), o
}

// first measures what it takes until there is a snapshot, with a class that clicks at
// once where there is none.
func (b *bench) first(s *measure.Stage) {
	one, o := gitSite(b, s, 1, false)
	o.asked()
	before := one.CPU()
	took := one.atOnce([]*exec.Cmd{one.pull(0)})
	alone := o.asked()
	b.Say("the first pull of all: %.2f s, of the service's processors %.2f s, %d requests for content at the origin; load %s",
		took.Seconds(), (one.CPU() - before).Seconds(), alone, measure.Load())
	class, o := gitSite(b, s, students, false)
	o.asked()
	took = class.atOnce(many(class.pull))
	asked := o.asked()
	all, _ := class.requests()
	b.Say("fifty first pulls at once: %.2f s, of the service's processors %.2f s; load %s", took.Seconds(), class.CPU().Seconds(), measure.Load())
	b.Note(measure.Figure{What: "fifty at once, nothing kept: requests for content at the origin, of one pull's", Got: float64(asked) / float64(alone), Bound: 1, Unit: "times"})
	b.Note(measure.Figure{What: "fifty at once, nothing kept: requests to the service, each", Got: float64(all) / students, Bound: 2, Unit: ""})
}

// A round is one way's: until all were done, and of the processors at the server and at
// the clients.
type round struct{ wall, cpu, clients time.Duration }

func spent(list []*exec.Cmd) (all time.Duration) {
	for _, cmd := range list {
		all += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return all
}

const rounds = 5

// class measures fifty at once with a snapshot that is there, beside fifty clones.
func (b *bench) class(s *measure.Stage) {
	cpu, wall, requests := b.beside(s, false)
	b.Note(measure.Figure{What: "fifty at once: the service's processors, of http-backend's", Got: cpu, Bound: 0.1, Unit: "times", Runs: rounds})
	b.Note(measure.Figure{What: "fifty at once: wall, of fifty git clone --depth 1", Got: wall, Bound: 0.75, Unit: "times", Runs: rounds})
	b.Note(measure.Figure{What: "fifty at once: requests to the service, each", Got: requests, Bound: 2, Unit: ""})
}

// whole is the same where there is least to save: nothing that a clone needs lies as a
// difference at the origin. No bound is set for it.
func (b *bench) whole(s *measure.Stage) {
	cpu, wall, _ := b.beside(s, true)
	b.Say("a repository of whole files: the service's processors %.2f of http-backend's, wall %.2f of fifty git clone --depth 1", cpu, wall)
}

// beside returns medians: the service's processors of http-backend's, the wall time of
// the clones', and requests for each pull.
func (b *bench) beside(s *measure.Stage, whole bool) (cpu, wall, requests float64) {
	st, o := gitSite(b, s, students, whole)
	st.atOnce([]*exec.Cmd{st.pull(0)})
	st.atOnce([]*exec.Cmd{st.clone(o.course())})
	ours := func() round {
		before := st.CPU()
		list := many(st.pull)
		took := st.atOnce(list)
		return round{took, st.CPU() - before, spent(list)}
	}
	theirs := func() round {
		before := benchsite.CPU(s, o.cmd.Process.Pid)
		list := many(func(int) *exec.Cmd { return st.clone(o.course()) })
		took := st.atOnce(list)
		return round{took, benchsite.CPU(s, o.cmd.Process.Pid) - before, spent(list)}
	}
	began, _ := st.requests()
	var cpus, walls []float64
	for i := range rounds { // nothing is removed between them: ext4 passes over the inodes of what is gone for minutes, one by one
		var a, b2 round
		if i%2 == 0 {
			a, b2 = ours(), theirs()
		} else {
			b2, a = theirs(), ours()
		}
		b.Say("fifty pulls %.2f s, processors: service %.2f s, clients %.2f s; fifty clones %.2f s, http-backend %.2f s, clients %.2f s; load %s",
			a.wall.Seconds(), a.cpu.Seconds(), a.clients.Seconds(), b2.wall.Seconds(), b2.cpu.Seconds(), b2.clients.Seconds(), measure.Load())
		cpus, walls = append(cpus, float64(a.cpu)/float64(b2.cpu)), append(walls, float64(a.wall)/float64(b2.wall))
	}
	ended, _ := st.requests()
	return median(cpus), median(walls), float64(ended-began) / (rounds * students)
}

func median(list []float64) float64 {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}
