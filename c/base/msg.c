#include "base/msg.h"

#include <string.h>

#include "base/mem.h"

apr_status_t conc_msg_make(conc_msg *m, const void *data, size_t size,
                           conc_obj *const *refs, uint32_t nrefs) {
  size_t at = conc_msg_refs_at(size);
  size_t all = nrefs == 0 ? size : at + nrefs * sizeof *refs;
  *m = (conc_msg){0};
  if (all > CONC_MSG_INLINE) {
    m->u.data = conc_alloc(all);
    if (m->u.data == NULL)
      return APR_ENOMEM;
    m->heap = true;
  }
  m->size = size;
  m->nrefs = nrefs;
  unsigned char *to = conc_msg_data(m);
  if (size != 0)
    memcpy(to, data, size);
  if (nrefs != 0)
    memcpy(to + at, refs, nrefs * sizeof *refs);
  return APR_SUCCESS;
}

void conc_msg_adopt(conc_msg *m, void *block, size_t size, uint32_t nrefs) {
  *m = (conc_msg){.size = size, .nrefs = nrefs, .heap = true};
  m->u.data = block;
}

apr_status_t conc_msg_copy(conc_msg *m, conc_msg *from) {
  conc_obj **refs = from->nrefs == 0 ? NULL : conc_msg_refs(from);
  apr_status_t st =
    conc_msg_make(m, conc_msg_data(from), from->size, refs, from->nrefs);
  for (uint32_t i = 0; st == APR_SUCCESS && i < from->nrefs; i++)
    conc_retain(refs[i]);
  return st;
}

void conc_msg_fini(conc_msg *m) {
  if (m->nrefs != 0) {
    conc_obj **refs = conc_msg_refs(m);
    for (uint32_t i = 0; i < m->nrefs; i++)
      conc_release(refs[i]);
  }
  if (m->heap)
    conc_free(m->u.data);
  *m = (conc_msg){0};
}
