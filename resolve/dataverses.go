package resolve

// dataverses are installations of Dataverse, told without asking (dataverse.org/installations).
// Others are told by the shape of their addresses, and asked.
var dataverses = []string{
	"dataverse.harvard.edu", "demo.dataverse.org", "borealisdata.ca", "dataverse.nl", "dataverse.no", "data.cimmyt.org", "dataverse.lib.virginia.edu", "dataverse.tdl.org", "data.aussda.at", "heidata.uni-heidelberg.de",
	"data.qdr.syr.edu", "archive.data.jhu.edu", "dataverse.unc.edu", "dataverse.ucla.edu", "entrepot.recherche.data.gouv.fr", "darus.uni-stuttgart.de", "data.goettingen-research-online.de", "edmond.mpg.de",
	"dataverse.ada.edu.au", "dataverse.fiu.edu", "dataverse.scholarsportal.info", "dataverse.csuc.cat", "dataverse.rhi.hi.is", "dataverse.uclouvain.be", "dataverse.orc.gmu.edu", "datarepositorium.uminho.pt",
	"dataverse.iit.it", "dataverse.openforestdata.pl", "repod.icm.edu.pl", "rdr.kuleuven.be", "researchdata.ntu.edu.sg", "dataverse.cirad.fr", "dataverse.ird.fr", "dataverse.jpl.nasa.gov", "data.sciencespo.fr",
	"data.inrae.fr", "dataverse.icrisat.org", "dataverse.pushdom.ru", "opendata.pku.edu.cn", "dataverse.vtti.vt.edu", "dataverse.asu.edu", "lida.dataverse.lt", "dataspace.ust.hk", "researchdata.cuhk.edu.hk",
}
