package gen

// pair is a given and a family name.
type pair struct{ given, family string }

// plainNames are the names of most users.
func plainNames() []pair {
	return []pair{
		{"Ada", "Lovelace"},
		{"Grace", "Hopper"},
		{"Alan", "Turing"},
		{"Barbara", "Liskov"},
		{"Edsger", "Dijkstra"},
		{"Donald", "Knuth"},
		{"Frances", "Allen"},
		{"John", "Backus"},
		{"Margaret", "Hamilton"},
		{"Ken", "Thompson"},
		{"Radia", "Perlman"},
		{"Leslie", "Lamport"},
		{"Shafi", "Goldwasser"},
		{"Niklaus", "Wirth"},
		{"Katherine", "Johnson"},
		{"Tony", "Hoare"},
		{"Jean", "Bartik"},
		{"Robin", "Milner"},
		{"Karen", "Jones"},
		{"Dana", "Scott"},
	}
}

// oddNames are names that programs often handle wrongly.
func oddNames() []pair {
	return []pair{
		{"Zo\u00eb", "Stra\u00dfe"},                                // composed
		{"Zoe\u0308", "Nu\u0301n\u0303ez"},                         // decomposed
		{"\u05d3\u05d5\u05d3", "\u05dc\u05d5\u05d9"},               // right to left
		{"\u0645\u062d\u0645\u062f", "\u0639\u0644\u064a"},         // right to left, joined
		{"\u674e", "\u96f7"},                                       // no case
		{"\u0130pek", "I\u015f\u0131k"},                            // dotted and dotless
		{"Kim \U0001f469\u200d\U0001f680", "\U0001f1fa\U0001f1f3"}, // emoji of several code points
		{"Anne-Marie", "O'Brien \"Bobby\"; DROP TABLE"},
		{"<b>Bob</b>", "&amp; Sons\u2028"},
		{"=1+1", "@SUM(A1)"}, // a spreadsheet would compute it
	}
}

// passwordTexts are the passwords of all users: few, because each is hashed before the
// first user is made.
func passwordTexts() []string {
	return []string{
		"correct horse battery staple", "Literate&Programming=1984", "p\u00e4ssw\u00f6rter sind lang", "\u5bc6\u7801\u5bc6\u7801\u5bc6\u7801-123",
		"  blanks around stay  ", "quote\"backslash\\percent%41+plus", "emoji-\U0001f511-\U0001f511-\U0001f511",
		"sixty-four-bytes-0123456789-0123456789-0123456789-0123456789-01!!",
	}
}
