// Package verdict has the words of verdicts: how sure ([Level]), of what ([Class]), how soon
// somebody should act ([Severity]), and why ([Reason]). Package detect reaches verdicts about
// hosts, package mailserver about mail servers; findings publish both. Nothing is decided here.
package verdict
