#include "lua/types.h"

#include "core/blob.h"

static const lc_type blob_type = {&conc_blob_class, NULL, NULL, NULL, 0, false};

const lc_type *const lc_types[] = {
  &lc_future_type,     &lc_fifo_type,
  &lc_lock_type,       &lc_rlock_type,
  &lc_condition_type,  &lc_semaphore_type,
  &lc_bounded_type,    &lc_event_type,
  &lc_barrier_type,    &lc_lifo_type,
  &lc_priority_type,   &lc_simple_type,
  &lc_value_type,      &lc_array_type,
  &lc_dict_type,       &lc_local_type,
  &lc_thread_type,     &lc_executor_type,
  &lc_row_type,        &lc_promise_type,
  &lc_watch_type,      &lc_group_type,
  &lc_slock_type,      &lc_srlock_type,
  &lc_scondition_type, &lc_ssemaphore_type,
  &lc_sbounded_type,   &lc_sevent_type,
  &lc_sbarrier_type,   &lc_process_type,
  &lc_conn_type,       &lc_listener_type,
  &lc_svalue_type,     &lc_sarray_type,
  &lc_smemory_type,    &lc_view_type,
  &lc_squeue_type,     &lc_sjoinable_type,
  &lc_ssimple_type,    &lc_pipe_type,
  &lc_lane_type,       &lc_process_executor_type,
  &blob_type,          NULL};
