// Stream stage: the largest value, or the sum, of TAPS values of each channel; then one register.
module nn_reduce #(
    parameter int TAPS      = 4,
    parameter int CHANNELS  = 1,
    parameter int IN_WIDTH  = 8,
    parameter int IN_SIGNED = 0,
    parameter int OUT_WIDTH = 8,
    parameter int SUM       = 0   // else the largest
) (
    input  logic                              clk,
    input  logic                              rst,
    input  logic                              in_valid,
    output logic                              in_ready,
    input  logic [TAPS*CHANNELS*IN_WIDTH-1:0] in_data,
    output logic                              out_valid,
    input  logic                              out_ready,
    output logic [    CHANNELS*OUT_WIDTH-1:0] out_data
);
  localparam int WIDE = (OUT_WIDTH > IN_WIDTH ? OUT_WIDTH : IN_WIDTH) + 1;
  wire [CHANNELS*OUT_WIDTH-1:0] found;
  generate
    for (genvar c = 0; c < CHANNELS; c++) begin : g_channel
      wire signed [WIDE-1:0] part[TAPS];
      for (genvar t = 0; t < TAPS; t++) begin : g_tap
        wire [IN_WIDTH-1:0] code = in_data[(t*CHANNELS+c)*IN_WIDTH+:IN_WIDTH];
        wire signed [WIDE-1:0] x = {{(WIDE - IN_WIDTH) {IN_SIGNED != 0 && code[IN_WIDTH-1]}}, code};
        if (t == 0) begin : g_first
          assign part[t] = x;
        end else if (SUM != 0) begin : g_sum
          assign part[t] = part[t-1] + x;
        end else begin : g_largest
          assign part[t] = x > part[t-1] ? x : part[t-1];
        end
      end
      assign found[c*OUT_WIDTH+:OUT_WIDTH] = part[TAPS-1][OUT_WIDTH-1:0];
    end
  endgenerate

  assign in_ready = !out_valid || out_ready;
  always_ff @(posedge clk) begin
    if (rst) out_valid <= 1'b0;
    else if (in_ready) out_valid <= in_valid;
    if (in_ready) out_data <= found;
  end
endmodule
