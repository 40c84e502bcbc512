package twin_test

import (
	"encoding/json"
	"testing"

	"github.com/mailstream/mailstream/services/console/internal/twin"
)

func TestList_IsNeverNull(t *testing.T) {
	t.Parallel()
	for want, list := range map[string]twin.List[int]{`[]`: nil, `[1,2]`: {1, 2}} {
		if got, err := json.Marshal(map[string]any{"list": list}); err != nil || string(got) != `{"list":`+want+`}` {
			t.Errorf("%v is written %s, %v", list, got, err)
		}
	}
}
