#include "ipc/child.h"

#include "base/mem.h"
#include "base/status.h"
#include "ipc/parcel.h"
#include "sys/shm.h"

void conc_child_hello(conc_handle channel) {
  size_t n = 1;
  (void)conc_sys_write(channel, "h", &n);
}

static apr_status_t read_all(conc_handle h, unsigned char *p, size_t left) {
  while (left > 0) {
    size_t n = left;
    apr_status_t st = conc_sys_read(h, p, &n);
    if (st == APR_EAGAIN) {
      conc_sys_await(h, CONC_READABLE);
      continue;
    }
    if (st != APR_SUCCESS)
      return st;
    p += n;
    left -= n;
  }
  return APR_SUCCESS;
}

void conc_child_sweep(conc_handle channel, uint64_t parent) {
  unsigned char word;
  if (read_all(channel, &word, 1) == APR_SUCCESS)
    return;
  conc_sys_outlive(parent);
  conc_sys_named_sweep();
}

/* Move what the parcel at 'offset' holds to 'job'. */
static apr_status_t unwrap(conc_wire *job, uint64_t offset) {
  conc_proxy *proxy;
  apr_status_t st = conc_shared_get(&proxy, offset);
  if (st != APR_SUCCESS)
    return st;
  conc_parcel *parcel = conc_parcel_of(proxy);
  if (proxy->obj.cls != &conc_parcel_class.cls)
    st = CONC_CORRUPT;
  else if ((job->shared =
              conc_alloc((size_t)parcel->nrefs * sizeof *job->shared)) == NULL)
    st = APR_ENOMEM;
  for (uint64_t i = 0; st == APR_SUCCESS && i < parcel->nrefs; i++) {
    st = conc_shared_get(&job->shared[i], atomic_load(&parcel->refs[i]));
    if (st == APR_SUCCESS)
      job->nshared++;
  }
  for (uint64_t i = 0; st == APR_SUCCESS && i < parcel->nrefs; i++)
    conc_shared_drop(&parcel->refs[i]);
  conc_release(&proxy->obj);
  return st;
}

apr_status_t conc_child_job(conc_handle channel, conc_wire *job) {
  conc_job_head head;
  apr_status_t st = read_all(channel, (unsigned char *)&head, sizeof head);
  if (st != APR_SUCCESS)
    return st;
  *job = (conc_wire){.data = conc_alloc((size_t)head.size + 1),
                     .size = (size_t)head.size};
  if (job->data == NULL)
    return APR_ENOMEM;
  st = read_all(channel, job->data, job->size);
  if (st == APR_SUCCESS && head.parcel != 0)
    st = unwrap(job, head.parcel);
  if (st != APR_SUCCESS)
    conc_wire_fini(job);
  return st;
}

apr_status_t conc_child_share(conc_handle heap) {
  conc_sys_private(heap);
  return conc_heap_attach(heap);
}

static bool on_parent(conc_sys_watch *w) {
  char bytes[64];
  size_t n = sizeof bytes;
  apr_status_t st = conc_sys_read(w->handle, bytes, &n);
  if (st != APR_SUCCESS && st != APR_EAGAIN)
    conc_sys_end_now(1);
  return true;
}

/*
 * A process has one parent, so this is made once and stays.  Where the system
 * ends it with the parent, no thread need watch the channel.
 */
apr_status_t conc_child_bind(conc_handle channel, uint64_t parent) {
  conc_sys_private(channel);
  if (conc_sys_dies_with(parent))
    return APR_SUCCESS;
  conc_sys_watch *w = conc_alloc(sizeof *w);
  if (w == NULL)
    return APR_ENOMEM;
  *w = (conc_sys_watch){channel, CONC_READABLE, on_parent, 0};
  apr_status_t st = conc_sys_watch_start(w);
  if (st != APR_SUCCESS)
    conc_free(w);
  return st;
}
