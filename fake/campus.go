package fake

import "time"

// The standard world of tests and the demo; see [Campus].
const (
	// CampusApp is a GitHub App with expiring tokens and the device flow on.
	CampusApp = "Iv23liDAYPASSDEMO001"
	// CampusForeverApp is a GitHub App whose tokens never expire.
	CampusForeverApp = "Iv23liDAYPASSDEMO002"
	// CampusOffApp is a GitHub App with the device flow off.
	CampusOffApp = "Iv23liDAYPASSDEMO003"
	// CampusOAuthApp is an OAuth App.
	CampusOAuthApp = "Ov23liDAYPASSDEMO004"

	// CampusPushApp is a GitHub App with a client secret, for a server that
	// pushes on people's behalf: contents: write. Its callback address is that
	// of the server; see [GitHub.SetCallbacks].
	CampusPushApp = "Iv23liDAYPASSDEMO005"
	// CampusPushSecret is its client secret.
	CampusPushSecret = "daypass-demo-secret-of-the-push-app-0005"
	// CampusContentApp is a GitHub App that only reads, for course material:
	// contents: read. It acts as itself, with a key that
	// [GitHub.GenerateKey] makes.
	CampusContentApp = "Iv23liDAYPASSDEMO006"

	// CampusUser is the person of most stories; the e-mail address is private.
	CampusUser = "octo-researcher"
	// CampusOther is somebody else, who owns river-lab.
	CampusOther = "ada"
	// CampusInstructor administers uni-course/homework.
	CampusInstructor = "course-instructor"
	// CampusStudent and CampusStudent2 have access to nothing.
	CampusStudent  = "student-one"
	CampusStudent2 = "student-two"
)

// The numbers of the campus's repositories and installations.
const (
	CampusDataRepo   int64 = 5001 // river-lab/data
	CampusPaperRepo  int64 = 5002 // river-lab/paper
	CampusNotesRepo  int64 = 5003 // octo-researcher/notes
	CampusPageRepo   int64 = 5004 // octo-researcher/public-page
	CampusSecureRepo int64 = 5005 // sso-org/secure
	CampusOtherRepo  int64 = 5006 // ada/private
	CampusReadRepo   int64 = 5007 // river-lab/handbook

	CampusLabInstall  int64 = 7001 // on river-lab
	CampusUserInstall int64 = 7002 // on octo-researcher
	CampusSSOInstall  int64 = 7003 // on sso-org

	CampusHomeworkRepo  int64 = 5008 // uni-course/homework
	CampusSolutionsRepo int64 = 5009 // uni-course/solutions

	CampusPushLabInstall  int64 = 7005 // of CampusPushApp on river-lab
	CampusPushUserInstall int64 = 7006 // of CampusPushApp on octo-researcher
	CampusContentInstall  int64 = 7007 // of CampusContentApp on uni-course
)

// Campus returns a small standard world. [CampusUser] may push to all of its
// repositories but river-lab/handbook (read only), ada/private and those of
// uni-course (nothing).
//
//	river-lab/data               private  App installed
//	river-lab/paper              private  App not installed
//	river-lab/handbook           private  App installed, the user only reads
//	octo-researcher/notes        private  App installed
//	octo-researcher/public-page  public   App not installed
//	sso-org/secure               private  App installed, single sign-on enforced
//	ada/private                  private  App not installed
//
// The App that never expires is installed on river-lab/data too. CampusPushApp
// is installed where the first App is, but for sso-org. For courses there are
//
//	uni-course/homework          private  CampusContentApp installed
//	uni-course/solutions         private  no App installed
//
// which [CampusInstructor] administers and nobody else may read.
func Campus() Seed {
	write := map[string]Access{CampusUser: AccessWrite, CampusOther: AccessAdmin}
	teach := map[string]Access{CampusInstructor: AccessAdmin}
	const notebook = `{"cells":[],"metadata":{},"nbformat":4,"nbformat_minor":5}` + "\n"
	return Seed{
		Users: []User{
			{ID: 1001, Login: CampusUser, Name: "Octo Researcher", TwoFactor: true},
			{ID: 1002, Login: CampusOther, Name: "Ada", Email: "ada@example.org"},
			{ID: 1003, Login: "new-student", Name: "New Student", Unverified: true},
			{ID: 1004, Login: CampusInstructor, Name: "Course Instructor", TwoFactor: true},
			{ID: 1005, Login: CampusStudent, Name: "Student One"},
			{ID: 1006, Login: CampusStudent2, Name: "Student Two"},
		},
		Orgs: []Org{
			{ID: 2001, Login: "river-lab", Name: "River Lab", Owners: []string{CampusOther}},
			{ID: 2002, Login: "sso-org", Name: "Single Sign-On", SAML: true, Owners: []string{CampusOther}},
			{ID: 2003, Login: "uni-course", Name: "University Course", Owners: []string{CampusInstructor}},
		},
		Apps: []App{
			{ID: 3001, ClientID: CampusApp, Slug: "hub-push", Name: "Hub Push", Owner: "river-lab"},
			{ID: 3002, ClientID: CampusForeverApp, Slug: "hub-push-forever", Name: "Hub Push Forever", Owner: "river-lab", NeverExpire: true},
			{ID: 3003, ClientID: CampusOffApp, Slug: "hub-push-off", Name: "Hub Push Off", Owner: "river-lab", DeviceFlowOff: true},
			{ID: 3004, ClientID: CampusOAuthApp, Slug: "old-tool", Name: "Old Tool", Owner: CampusOther, Kind: OAuthApp},
			{ID: 3005, ClientID: CampusPushApp, Slug: "campus-push", Name: "Campus Push", Owner: "river-lab", ClientSecrets: []string{CampusPushSecret}},
			{ID: 3006, ClientID: CampusContentApp, Slug: "campus-content", Name: "Campus Content", Owner: "uni-course", DeviceFlowOff: true,
				Permissions: map[string]string{"contents": "read", "metadata": "read"}},
		},
		Installations: []Installation{
			{ID: CampusLabInstall, App: CampusApp, Account: "river-lab", Repos: []int64{CampusDataRepo, CampusReadRepo}},
			{ID: CampusUserInstall, App: CampusApp, Account: CampusUser, Repos: []int64{CampusNotesRepo}},
			{ID: CampusSSOInstall, App: CampusApp, Account: "sso-org", All: true},
			{ID: 7004, App: CampusForeverApp, Account: "river-lab", Repos: []int64{CampusDataRepo}},
			{ID: CampusPushLabInstall, App: CampusPushApp, Account: "river-lab", Repos: []int64{CampusDataRepo, CampusReadRepo}},
			{ID: CampusPushUserInstall, App: CampusPushApp, Account: CampusUser, Repos: []int64{CampusNotesRepo}},
			{ID: CampusContentInstall, App: CampusContentApp, Account: "uni-course", Repos: []int64{CampusHomeworkRepo}},
		},
		Repos: []Repo{
			{ID: CampusDataRepo, Owner: "river-lab", Name: "data", Private: true, Description: "Measurements", Access: write,
				Files: map[string]string{"README.md": "# data\n", "gauges.csv": "day,level\n1,2.30\n2,2.41\n"}},
			{ID: CampusPaperRepo, Owner: "river-lab", Name: "paper", Private: true, Access: write},
			{ID: CampusReadRepo, Owner: "river-lab", Name: "handbook", Private: true, Access: map[string]Access{CampusUser: AccessRead, CampusOther: AccessAdmin}},
			{ID: CampusNotesRepo, Owner: CampusUser, Name: "notes", Private: true},
			{ID: CampusPageRepo, Owner: CampusUser, Name: "public-page", Description: "My page"},
			{ID: CampusSecureRepo, Owner: "sso-org", Name: "secure", Private: true, Access: write},
			{ID: CampusOtherRepo, Owner: CampusOther, Name: "private", Private: true},
			{ID: CampusHomeworkRepo, Owner: "uni-course", Name: "homework", Private: true, Description: "Exercises", Access: teach,
				Files: map[string]string{"README.md": "# homework\n", "week1.ipynb": notebook}},
			{ID: CampusSolutionsRepo, Owner: "uni-course", Name: "solutions", Private: true, Access: teach},
		},
		Renames: map[string]string{"river-lab/old-data": "river-lab/data"},
	}
}

// Suspended returns the seed with one installation suspended at a moment.
func Suspended(s Seed, installation int64, at time.Time) Seed {
	for i := range s.Installations {
		if s.Installations[i].ID == installation {
			s.Installations[i].SuspendedAt = at
		}
	}
	return s
}
