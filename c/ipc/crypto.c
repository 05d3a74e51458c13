#include "ipc/crypto.h"

#include <stdatomic.h>
#include <stdint.h>

#include "base/init.h"
#include "base/mem.h"
#include "sys/apr.h"

/*
 * A library that is found is wrapped in a conc_crypto, and the first to be ready
 * is put into 'found' by one exchange; who comes second throws its own away,
 * which only takes a count off the library.  It is never unloaded after that.
 */
struct conc_crypto {
  apr_pool_t *pool;
  int (*init)(void);
  void (*random)(void *p, size_t size);
  int (*compare)(const void *a, const void *b, size_t size);
  void (*zero)(void *p, size_t size);
  size_t (*state_size)(void);
  int (*hmac_init)(void *state, const unsigned char *key, size_t size);
  int (*hmac_update)(void *state, const unsigned char *p,
                     unsigned long long size);
  int (*hmac_final)(void *state, unsigned char *digest);
};

/* crypto_auth_hmacsha256_state has two SHA-256 states: 208 bytes since 2014. */
enum { STATE_SIZE = 512 };

/* By what names systems know it: Unix by its ABI, newest first, then others. */
static const char *const names[] = {
  "libsodium.so.26",
  "libsodium.so.23",
  "libsodium.so.18",
  "libsodium.so",
  "libsodium.dylib",
  "/opt/homebrew/lib/libsodium.dylib",
  "/usr/local/lib/libsodium.dylib",
  "libsodium.dll",
  "libsodium-26.dll",
  "libsodium-23.dll",
};

static apr_status_t find_functions(conc_crypto *c, apr_dso_handle_t *library) {
  const struct {
    const char *name;
    size_t at;
  } functions[] = {
    {"sodium_init", offsetof(conc_crypto, init)},
    {"randombytes_buf", offsetof(conc_crypto, random)},
    {"sodium_memcmp", offsetof(conc_crypto, compare)},
    {"sodium_memzero", offsetof(conc_crypto, zero)},
    {"crypto_auth_hmacsha256_statebytes", offsetof(conc_crypto, state_size)},
    {"crypto_auth_hmacsha256_init", offsetof(conc_crypto, hmac_init)},
    {"crypto_auth_hmacsha256_update", offsetof(conc_crypto, hmac_update)},
    {"crypto_auth_hmacsha256_final", offsetof(conc_crypto, hmac_final)},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    apr_dso_handle_sym_t found;
    apr_status_t st = conc_apr.dso_sym(&found, library, functions[i].name);
    if (st != APR_SUCCESS)
      return st;
    *(apr_dso_handle_sym_t *)(void *)((char *)c + functions[i].at) = found;
  }
  return APR_SUCCESS;
}

/* Leaves c without a pool on failure. */
static apr_status_t load(conc_crypto *c, const char *name) {
  apr_dso_handle_t *library;
  apr_status_t st = conc_apr.pool_create(&c->pool, NULL, NULL);
  if (st != APR_SUCCESS)
    return st;
  if ((st = conc_apr.dso_load(&library, name, c->pool)) == APR_SUCCESS &&
      (st = find_functions(c, library)) == APR_SUCCESS &&
      (c->state_size() > STATE_SIZE || c->init() < 0))
    st = APR_EDSOOPEN;
  if (st != APR_SUCCESS)
    conc_apr.pool_destroy(c->pool);
  return st;
}

static apr_status_t search(conc_crypto *c) {
  apr_status_t st = conc_init();
  if (st != APR_SUCCESS)
    return st;
  st = APR_EDSOOPEN;
  for (size_t i = 0; i < sizeof names / sizeof *names && st != APR_SUCCESS; i++)
    st = load(c, names[i]);
  return st == APR_SUCCESS || APR_STATUS_IS_ENOMEM(st) ? st : APR_EDSOOPEN;
}

apr_status_t conc_crypto_get(const conc_crypto **c) {
  static conc_crypto *_Atomic found;
  conc_crypto *none = NULL, *mine;
  apr_status_t st;
  if ((*c = atomic_load(&found)) != NULL)
    return APR_SUCCESS;
  if ((mine = conc_alloc(sizeof *mine)) == NULL)
    return APR_ENOMEM;
  if ((st = search(mine)) != APR_SUCCESS) {
    conc_free(mine);
    return st;
  }
  if (!atomic_compare_exchange_strong(&found, &none, mine)) {
    conc_apr.pool_destroy(mine->pool);
    conc_free(mine);
    mine = none;
  }
  *c = mine;
  return APR_SUCCESS;
}

void conc_crypto_hmac(const conc_crypto *c, conc_bytes key, conc_bytes text,
                      unsigned char digest[CONC_DIGEST_SIZE]) {
  _Alignas(16) unsigned char state[STATE_SIZE];
  c->hmac_init(state, key.p, key.size);
  c->hmac_update(state, text.p, text.size);
  c->hmac_final(state, digest);
  c->zero(state, sizeof state);
}

void conc_crypto_random(const conc_crypto *c, void *p, size_t size) {
  c->random(p, size);
}

int conc_crypto_equal(const conc_crypto *c, conc_bytes a, conc_bytes b) {
  return a.size == b.size && c->compare(a.p, b.p, a.size) == 0;
}
