#include "ipc/lane.h"
#include "ipc/parcel.h"
#include "ipc/sbarrier.h"
#include "ipc/scells.h"
#include "ipc/scondition.h"
#include "ipc/sevent.h"
#include "ipc/sline.h"
#include "ipc/slock.h"
#include "ipc/smemory.h"
#include "ipc/sname.h"
#include "ipc/spipe.h"
#include "ipc/squeue.h"
#include "ipc/srlock.h"
#include "ipc/ssemaphore.h"

const conc_shared_class *const conc_shared_classes[CONC_SHARED_CLASSES] = {
  [CONC_SHARED_PARCEL] = &conc_parcel_class,
  [CONC_SHARED_LOCK] = &conc_slock_class,
  [CONC_SHARED_RLOCK] = &conc_srlock_class,
  [CONC_SHARED_SEMAPHORE] = &conc_ssemaphore_class,
  [CONC_SHARED_BOUNDED] = &conc_sbounded_class,
  [CONC_SHARED_EVENT] = &conc_sevent_class,
  [CONC_SHARED_TURN] = &conc_sturn_class,
  [CONC_SHARED_CONDITION] = &conc_scondition_class,
  [CONC_SHARED_BARRIER] = &conc_sbarrier_class,
  [CONC_SHARED_VALUE] = &conc_svalue_class,
  [CONC_SHARED_ARRAY] = &conc_sarray_class,
  [CONC_SHARED_QUEUE] = &conc_squeue_class,
  [CONC_SHARED_JOINABLE] = &conc_sjoinable_class,
  [CONC_SHARED_SIMPLE] = &conc_ssimple_class,
  [CONC_SHARED_NAME] = &conc_sname_class,
  [CONC_SHARED_MEMORY] = &conc_smemory_class,
  [CONC_SHARED_PIPE] = &conc_spipe_class,
  [CONC_SHARED_PIPE_END] = &conc_spipe_end_class,
  [CONC_SHARED_LANE] = &conc_lane_class,
  [CONC_SHARED_STAKE] = &conc_stake_class,
};
