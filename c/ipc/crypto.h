#ifndef CONC_CRYPTO_H
#define CONC_CRYPTO_H

/*
 * What the handshake of connections needs, from libsodium.  That is looked for
 * when it is first asked for, and stays loaded: a program that opens no
 * connection with a key neither needs nor loads it.
 *
 * Reference: RFC 2104 (HMAC), FIPS 180-4 (SHA-256).
 */

#include <stddef.h>

#include "base/status.h"

#define CONC_DIGEST_SIZE 32

typedef struct conc_crypto conc_crypto;

/* libsodium, once for the process; APR_EDSOOPEN if there is none that can be
   used.  Any thread may call it at any time. */
apr_status_t conc_crypto_get(const conc_crypto **c);

typedef struct {
  const void *p;
  size_t size;
} conc_bytes;

/* The HMAC-SHA-256 of the text; the key may have any length. */
void conc_crypto_hmac(const conc_crypto *c, conc_bytes key, conc_bytes text,
                      unsigned char digest[CONC_DIGEST_SIZE]);

/* Bytes that nobody can guess. */
void conc_crypto_random(const conc_crypto *c, void *p, size_t size);

/* Are they the same?  It takes as long wherever they differ. */
int conc_crypto_equal(const conc_crypto *c, conc_bytes a, conc_bytes b);

#endif
