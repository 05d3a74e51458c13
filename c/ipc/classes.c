#include "ipc/parcel.h"

const conc_shared_class *const conc_shared_classes[CONC_SHARED_CLASSES] = {
  [CONC_SHARED_PARCEL] = &conc_parcel_class,
};
