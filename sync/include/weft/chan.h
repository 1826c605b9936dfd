/* weft/chan.h - a bounded queue of fixed-size items, copied in and out; capacity 0 is a rendezvous.
 *
 * Items of one sender arrive in the order it sent them. Many tasks and threads may send and receive.
 * The macros pass sizeof *(item): a size that is not the channel's is misuse. */
#ifndef WEFT_CHAN_H
#define WEFT_CHAN_H

#include <weft/base.h>

typedef struct weft_chan weft_chan;

WEFT_BEGIN

/* [A--] NULL when memory ran out, or capacity times item_size does not fit a size_t. */
WEFT_API weft_chan *weft_chan_new(size_t capacity, size_t item_size);
WEFT_API void weft_chan_free(weft_chan *c);  /* [A--] nobody may be waiting; NULL is fine */
WEFT_API void weft_chan_close(weft_chan *c); /* [A--] may be repeated; what is queued can still be read */

#define weft_chan_send(c, item) weft_chan_send_n((c), (item), sizeof *(item))
#define weft_chan_recv(c, item) weft_chan_recv_n((c), (item), sizeof *(item))

/* [Asc] Copy an item in, waiting for room. 0; -EPIPE once the channel is closed; why the caller should
 * stop. Whenever the result is not 0, the item was not sent. */
WEFT_API int weft_chan_send_n(weft_chan *c, const void *item, size_t size);

/* [Asc] Copy an item out, waiting for one. 0; -EPIPE once closed and drained; why the caller should
 * stop. Whenever the result is not 0, no item was taken and *item is untouched. */
WEFT_API int weft_chan_recv_n(weft_chan *c, void *item, size_t size);

WEFT_API int weft_chan_try_send(weft_chan *c, const void *item, size_t size); /* [A--] ... or -EAGAIN */
WEFT_API int weft_chan_try_recv(weft_chan *c, void *item, size_t size);       /* [A--] ... or -EAGAIN */

WEFT_END

#endif
