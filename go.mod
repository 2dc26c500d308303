module pithos

go 1.26.0
