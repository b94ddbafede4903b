package plivo

// maxSubaccounts bounds what is read of a list: one that claims more is not
// believed.
const maxSubaccounts = 2_000_000

// maxGrowth bounds how much a list may grow while it is read: to twice what its
// first page promised and this many more. One that pages on for ever ends there.
const maxGrowth = 1000

// ReadList reads a whole list, page after page, by a function that reads the
// one at an offset. The reading is whole if the list never got shorter
// meanwhile and showed at least as many subaccounts as its first page promised:
// paging by offset can miss what moves.
func ReadList(read func(offset int) (Page, error)) (whole bool, err error) {
	seen := map[string]struct{}{}
	promised, total, shrunk := -1, 0, false
	for offset := 0; ; {
		page, err := read(offset)
		if err != nil {
			return false, err
		}
		if promised < 0 {
			promised = page.Total
		}
		if page.Total > maxSubaccounts {
			return false, &Error{Kind: KindUnknown, Operation: OperationList, Message: "the list claims to be longer than any list can be"}
		}
		if offset > 2*promised+maxGrowth {
			return false, &Error{Kind: KindUnknown, Operation: OperationList, Message: "the list grows as fast as it is read"}
		}
		shrunk = shrunk || page.Total < total
		total = page.Total
		for _, s := range page.Subaccounts {
			seen[s.AuthID] = struct{}{}
		}
		offset += len(page.Subaccounts)
		if len(page.Subaccounts) == 0 || offset >= total {
			return !shrunk && len(seen) >= promised, nil
		}
	}
}
